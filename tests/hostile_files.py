"""Damaged and hostile files, given to whatever reads them: ``python -m tests.hostile_files``.

Each must be refused with an error of the kind that its reader promises, which names the file; or be
read as what it was before it was altered, where the altered bytes mean nothing. ``--seed`` and
``--times`` choose other files and more of them.
"""

import argparse
import collections
import io
import json
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from PIL import Image

from masam_jax.config.errors import RunError
from masam_jax.data import load_mfeat
from masam_jax.data.builders.array_unpickler import load_arrays
from masam_jax.data.builders.food101 import _read_features, _read_jpeg
from masam_jax.data.builders.source import Listing, Record, check_places
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.transforms.audio_clip import read_audio_track, read_wave
from masam_jax.data.transforms.chest_xray import read_xray
from masam_jax.data.transforms.video_frames import read_frames
from masam_jax.models.weights.safetensors_file import read_safetensors, take
from masam_jax.training.storage.data_facts import read_facts, write_facts
from masam_jax.training.storage.surroundings import read_statistics, write_statistics
from tests.hostile_media import bmp, flac, gif, png, stored_clip, wav
from tests.pickle_bombs import PICKLE_BOMBS


class Case(NamedTuple):
    """A file, and who reads it.

    Attributes:
      name: what is wrong with it.
      path: where it lies.
      content: its bytes.
      read: reads it; what it returns is compared with ``whole``.
      whole: what an unharmed file gives; None where nothing is to be accepted.
      error: the kind of error that is promised.
      may_differ: whether it may also be read as something else, since nothing tells.
    """

    name: str
    path: Path
    content: bytes
    read: Callable[[], Any]
    whole: Any = None
    error: type[Exception] = ValueError
    may_differ: bool = False


def outcome(case: Case) -> str:
    """``"refused"``, ``"harmless"``, or what went wrong."""
    if not case.path.is_dir():
        case.path.write_bytes(case.content)
    try:
        found = case.read()
    except case.error as error:
        words = str(error)
        named = case.path.name in words and len(words) < 2000
        return "refused" if named else f"an error without the file's name: {words[:300]}"
    # What a reader did not foresee is what is looked for.
    except (Exception, MemoryError) as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    if case.may_differ or (case.whole is not None and equal(found, case.whole)):
        return "harmless"
    return "accepted"


def equal(one: Any, other: Any) -> bool:
    """Whether two trees of arrays and plain values are the same, names and order included."""
    if type(one) is not type(other) and not isinstance(one, np.ndarray):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def flipped(content: bytes, generator: np.random.Generator, times: int) -> Iterator[bytes]:
    """The content with one bit turned, at places of which none is left out if there is time."""
    places = generator.permutation(8 * len(content))[:times]
    for place in places.tolist():
        altered = bytearray(content)
        altered[place // 8] ^= 1 << place % 8
        yield bytes(altered)


def cut(content: bytes, generator: np.random.Generator, times: int) -> Iterator[bytes]:
    """The content's first bytes."""
    for length in generator.permutation(len(content))[:times].tolist():
        yield content[:length]


def statistics_files(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """``statistics.npz`` of a run."""
    data, path = load_mfeat().select(["mor", "zer"]), place / "statistics.npz"
    write_facts(place, data)
    widths = {"mor": 6, "zer": 47}
    whole = {
        m: tuple(generator.uniform(0.5, 2, (3, width)).astype(np.float32) for _ in range(2))
        for m, width in widths.items()
    }
    write_statistics(place, whole)
    content = path.read_bytes()

    def case(name: str, altered: bytes) -> Case:
        return Case(name, path, altered, lambda: read_statistics(place), whole, RunError)

    yield from (case("a bit", altered) for altered in flipped(content, generator, 20 * times))
    yield from (case("cut off", altered) for altered in cut(content, generator, 2 * times))
    yield case("more", content + b"\0" * 80)
    arrays = {
        f"{part}/{m}": x
        for m, pair in whole.items()
        for part, x in zip(("mean", "std"), pair, strict=True)
    }
    for name, altered in _hostile_arrays(arrays):
        yield case(name, altered)._replace(whole=None)
    for member in list(arrays):
        for header in HOSTILE_HEADERS:
            yield case(header, _archive({**arrays, member: npy(header)}))._replace(whole=None)
        yield case("twice", _archive(arrays, twice=member))._replace(whole=None)
    yield case("zipped", _archive(arrays, zipfile.ZIP_DEFLATED))._replace(whole=None)


def _hostile_arrays(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    less = {name: x for name, x in arrays.items() if not name.endswith("mor")}
    half = {name: x for name, x in arrays.items() if name != "std/mor"}
    renamed = {name.replace("mor", "moR"): x for name, x in arrays.items()}
    yield "a modality less", _archive(less)
    yield "half a modality", _archive(half)
    yield "another name", _archive(renamed)
    yield "nothing", _archive({})
    for name, value in (
        ("NaN", np.full((3, 6), np.nan, np.float32)),
        ("zero std", np.zeros((3, 6), np.float32)),
        ("another width", np.ones((3, 7), np.float32)),
        ("other seeds", np.ones((2, 6), np.float32)),
        ("float64", np.ones((3, 6))),
        ("a number", np.float32(1)),
        ("objects", np.array([[1.0, "a"]], object)),
    ):
        yield name, _archive({**arrays, "std/mor": value})


HOSTILE_HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1125899906842624,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -6), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 0), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 6), }",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3, 6), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 6), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 6, 1" + "," + "1," * 80 + "), }",
    "{'descr': '<f4'}",
    "(" * 5000 + ")" * 5000,
    "__import__('os').system('true')",
)


def npy(header: str, content: bytes = bytes(72)) -> bytes:
    """A ``.npy`` file with a header of one's choice."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def _archive(
    arrays: dict[str, Any], compression: int = zipfile.ZIP_STORED, twice: str | None = None
) -> bytes:
    """An ``.npz`` file without a digest, of arrays and of bytes that are taken as they are."""
    import warnings

    stream = io.BytesIO()
    names = [*arrays] + ([twice] if twice else [])
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name in names:
            value = arrays[name]
            if not isinstance(value, bytes):
                buffer = io.BytesIO()
                np.save(buffer, value, allow_pickle=True)
                value = buffer.getvalue()
            archive.writestr(f"{name}.npy", value)
    return stream.getvalue()


def facts_files(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """``data.json`` of a run."""
    path = place / "data.json"
    write_facts(place, load_mfeat().select(["mor", "zer"]))
    whole, content = read_facts(place), path.read_bytes()
    plain = json.loads(content)
    plain.pop("sha256", None)

    def case(name: str, altered: bytes) -> Case:
        return Case(name, path, altered, lambda: read_facts(place), whole, RunError)

    yield from (case("a bit", altered) for altered in flipped(content, generator, 4 * times))
    yield from (case("cut off", altered) for altered in cut(content, generator, times))
    for name, change in _HOSTILE_FACTS:
        altered = json.loads(json.dumps(plain))
        change(altered)
        yield case(name, json.dumps(altered).encode())._replace(whole=None)
    for name, text in (
        ("nested", "[" * 100_000 + "]" * 100_000),
        ("nested objects", '{"a":' * 100_000 + "1" + "}" * 100_000),
        ("a long number", '{"name": ' + "1" * 100_000 + "}"),
        ("a list", "[]"),
    ):
        yield case(name, text.encode())._replace(whole=None)


def _of_mor(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts["modalities"]["mor"].update(fields)


_HOSTILE_FACTS: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("objects", _of_mor(dtype="O")),
    ("text", _of_mor(dtype="U5")),
    ("complex", _of_mor(dtype="complex64")),
    ("records", _of_mor(dtype="f4,f4")),
    ("no dtype", _of_mor(dtype=None)),
    ("a negative side", _of_mor(shape=[-6])),
    ("no side", _of_mor(shape=[])),
    ("half a side", _of_mor(shape=[1.5])),
    ("a side in words", _of_mor(shape=["6"])),
    ("a huge side", _of_mor(shape=[1 << 50])),
    ("a side of a googol", _of_mor(shape=[10**100])),
    ("sides of images", _of_mor(shape=[2, 3])),
    ("a kind that is a list", _of_mor(kind=["vector"])),
    ("a rule of its own", _of_mor(normalization={"rule": "odd", "mean": [], "std": []})),
    ("a std of zero", _of_mor(normalization={"rule": "fixed", "mean": [0], "std": [0]})),
    ("a mean in words", _of_mor(normalization={"rule": "fixed", "mean": ["0"], "std": [1]})),
    ("means missing", _of_mor(normalization={"rule": "fixed", "mean": [], "std": []})),
    ("a vocabulary of words", _of_mor(vocabulary_size="many")),
    ("no modality", lambda facts: facts.update(modalities={})),
    ("modalities in a list", lambda facts: facts.update(modalities=[])),
    ("classes in a number", lambda facts: facts.update(classes=3)),
    ("classes that are numbers", lambda facts: facts.update(classes=[1, 2])),
    ("no class", lambda facts: facts.update(classes=[])),
    ("a name that is a list", lambda facts: facts.update(name=["mfeat"])),
    ("more than it should hold", lambda facts: facts.update(colour=1)),
    ("less than it should hold", lambda facts: facts.pop("metric")),
    ("a truth that is a number", lambda facts: facts.update(multi_label=2)),
)


def pickles(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """Pickles of UR-FUNNY."""
    path = place / "covarep.pkl"

    def case(name: str, altered: bytes, may_differ: bool = False) -> Case:
        return Case(name, path, altered, lambda: load_arrays(path), may_differ=may_differ)

    rows = generator.normal(size=(3, 4))
    content = {1: {"a": rows, "b": rows.tolist(), "c": ["x", None, np.float32(2)]}, 2: [1 << 40]}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        whole = pickle.dumps(content, protocol=protocol)
        for altered in flipped(whole, generator, 2 * times):
            yield case(f"a bit, protocol {protocol}", altered, may_differ=True)
        yield from (case("cut off", altered) for altered in cut(whole, generator, times // 2))
    yield from (case(name, altered) for name, altered in PICKLE_BOMBS.items())


def weights(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """``.safetensors`` files."""
    del generator, times
    path = place / "weights.safetensors"

    def read() -> Any:
        tensors = read_safetensors(path)
        # The names of tensors are what a reader of the weights sees of the file.
        try:
            return take(tensors, "a", (2,))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error

    def case(name: str, header: Any, content: bytes = bytes(8), length: int | None = None) -> Case:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        start = struct.pack("<Q", len(text) if length is None else length)
        return Case(name, path, start + text + content, read)

    def tensor(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
        return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}

    yield case("a header of 2 ** 60 bytes", {"a": tensor()}, length=1 << 60)
    yield case("a header of 100 MB", {"a": tensor()}, length=99_999_999)
    yield case("parts that overlap", {"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12))
    yield case("parts that are the same", {"a": tensor(), "b": tensor()})
    yield case("cut off", {"a": tensor()}, bytes(4))
    yield case("longer", {"a": tensor()}, bytes(9))
    yield case("a hole", {"a": tensor(offsets=(4, 12))}, bytes(12))
    yield case("offsets the other way", {"a": tensor(offsets=(8, 0))})
    for dtype in (
        "F13",
        "F8_E4M3",
        "F8_E5M2",
        "F4",
        "F6_E2M3",
        "E8M0",
        "U64",
        "C64",
        "BOOL",
        3,
        None,
    ):
        for count in (1, 2, 8, 16):
            yield case(f"dtype {dtype} [{count}]", {"a": tensor(dtype, (count,))})
    yield case("integers", {"a": tensor("I32")})
    yield case("a side below zero", {"a": tensor(shape=(-2,))})
    yield case("sides of 2 ** 40", {"a": tensor(shape=(1 << 40, 1 << 40))})
    yield case("2 ** 62 times nothing", {"a": tensor(shape=(1 << 62, 0), offsets=(0, 0))}, b"")
    yield case("5001 axes", {"a": tensor(shape=[1] * 5000 + [2])})
    yield case("another shape", {"a": tensor(shape=(1, 2))})
    yield case("a number", {"a": tensor(shape=())})
    yield case("not finite", {"a": tensor()}, b"\xff" * 8)
    yield case("no tensor", {}, b"")
    yield case("a list", [])
    yield case("nested", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    yield case("metadata of numbers", {"__metadata__": {"a": 1}, "a": tensor()})
    for content in (b"", b"abc", b"PK\x03\x04" * 50, b"\x89PNG\r\n\x1a\n"):
        yield Case("another file", path, content, read)


def media(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """Images, sounds and videos, as the builders read them."""
    pixels = generator.integers(0, 256, (16, 12, 3), np.uint8)
    readers: dict[str, Callable[[Path], Any]] = {
        "xray": read_xray,
        "photograph": _read_jpeg,
        "sound": read_wave,
        "clip": read_frames,
        "track": read_audio_track,
        "features": _read_features,
    }

    def case(kind: str, name: str, content: bytes, may_differ: bool = False) -> Case:
        path = place / f"{kind}.bin"
        read = readers[kind]
        return Case(name, path, content, lambda: read(path), None, DamagedMedia, may_differ)

    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, form)
        for altered in flipped(stream.getvalue(), generator, times // 4):
            yield case("xray", f"a bit of {form}", altered, True)
            yield case("photograph", f"a bit of {form}", altered, True)
        for altered in cut(stream.getvalue(), generator, times // 10):
            yield case("xray", f"{form} cut off", altered, True)
    for width, height in (
        (1 << 30, 1 << 30),
        (50_000, 50_000),
        (9_000, 9_000),
        (60_000, 1),
        (0, 5),
    ):
        for kind in ("xray", "photograph"):
            yield case(kind, f"a PNG of {width} x {height}", png(width, height))
            yield case(kind, f"a GIF of {width} x {height}", gif(width & 65535, height & 65535))
            yield case(kind, f"a BMP of {width} x {height}", bmp(width, height))
    for frames, rate, channels in (
        (1 << 31, 16_000, 1),
        (4, 1, 1),
        (4, (1 << 32) - 1, 1),
        (4, 2_000_003, 1),
        (0, 16_000, 1),
        (4, 16_000, 0),
        (4, 16_000, 65_535),
    ):
        whole = wav(frames, rate, channels)
        # libsndfile goes by the file's length where it can.
        yield case("sound", f"a WAV of {frames} at {rate} Hz", whole, frames == 1 << 31)
    yield case("sound", "a FLAC of 2 ** 36 samples", flac((1 << 36) - 1))
    stream = io.BytesIO()
    soundfile.write(stream, generator.normal(size=400), 16_000, format="WAV")
    for altered in flipped(stream.getvalue()[:64], generator, times):
        yield case("sound", "a bit of a WAV's header", altered + stream.getvalue()[64:], True)
        yield case("track", "a bit of a WAV's header", altered + stream.getvalue()[64:], True)
    video = stored_clip(place)
    for kind in ("clip", "track"):
        for altered in flipped(video[:2000], generator, times // 4):
            yield case(kind, "a bit of a video's header", altered + video[2000:], True)
        for altered in cut(video, generator, times // 10):
            yield case(kind, "a video cut off", altered, True)
        yield case(kind, "a playlist", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
        yield case(kind, "an address", b"ffconcat version 1.0\nfile /etc/passwd\n")
        yield case(kind, "an image", png(12, 16))
    for header in HOSTILE_HEADERS:
        yield case("features", header, npy(header))
    for kind in readers:
        yield case(kind, "nothing", b"")
        yield case(kind, "text", b"no media\n" * 50)


def lists(place: Path, generator: np.random.Generator, times: int) -> Iterator[Case]:
    """Lists that name files outside of the source."""
    del generator, times
    for name in OUTSIDE:
        path = place / "train.csv"

        def read(name: str = name) -> None:
            source = {"image": place / name, "more": (place / "a.png", [place / name])}
            record = Record("sample", "train", 0, source)
            check_places(place, Listing((record,), {}))

        yield Case(name, path, name.encode(), read)._replace(path=place)


OUTSIDE = (
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../x",
    "a/b/../../../x",
    "..",
    "../",
    "a\0b",
    "//etc/passwd",
    "./../x",
)

FAMILIES: dict[str, Callable[[Path, np.random.Generator, int], Iterator[Case]]] = {
    "statistics.npz": statistics_files,
    "data.json": facts_files,
    "pickles": pickles,
    "weights": weights,
    "media": media,
    "lists": lists,
}


def attack(family: str, place: Path, seed: int, times: int) -> tuple[int, int, list[str]]:
    """Gives the family's files to their reader.

    Returns:
      How many were refused, how many were made that had to be, and what went wrong.
    """
    place.mkdir(parents=True, exist_ok=True)
    found: collections.Counter[str] = collections.Counter()
    wrong = []
    for case in FAMILIES[family](place, np.random.default_rng(seed), times):
        result = outcome(case)
        found[result if result in ("refused", "harmless") else "wrong"] += 1
        if result not in ("refused", "harmless"):
            wrong.append(f"{family}: {case.name}: {result}")
    return found["refused"], found["refused"] + found["wrong"], wrong


def main() -> int:
    """Prints how many files were refused, of how many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--times", type=int, default=200, help="how many files are damaged at random"
    )
    parser.add_argument("--only", choices=sorted(FAMILIES), help="one family of files")
    given = parser.parse_args()
    total, made, wrong = 0, 0, []
    with tempfile.TemporaryDirectory() as place:
        for number, family in enumerate([given.only] if given.only else FAMILIES):
            refused, of, faults = attack(family, Path(place) / str(number), given.seed, given.times)
            print(f"{family}: hostile files refused / made: {refused} / {of}", flush=True)
            total, made, wrong = total + refused, made + of, [*wrong, *faults]
    print(f"in all: hostile files refused / made: {total} / {made}")
    print("\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
