"""What all builders have in common, on a data set of numbered files."""

import dataclasses
import io
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.source import Listing, Record, file_digest
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.modality import Modality


@dataclasses.dataclass(frozen=True)
class NumberedOptions:
    shift: int = 0
    factor: int = 1


class Numbered(PublishedBuilder):
    """Files of a number each; even ones come with as many pictures as their last digit says."""

    TITLE = "Numbered"
    CLASS_NAMES = ("even", "odd")
    HOMEPAGE = "https://example.org"
    CITATION = "none"
    OPTIONS = NumberedOptions
    CACHED = True
    PREPARED_WITH = ("shift",)
    MANUAL_DOWNLOAD_INSTRUCTIONS = "<split>_<number>.txt"
    encoded: ClassVar[list[str]] = []

    @property
    def modalities(self):
        return {"number": Modality("vector", (1,))}

    def stored_features(self):
        picture = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
        return {
            "number": tfds.features.Scalar(dtype=np.int32),
            "values": tfds.features.Tensor(shape=(None,), dtype=np.float32),
            "words": tfds.features.Text(),
            "pictures": tfds.features.Sequence(picture),
        }

    def listing(self, source):
        files = sorted(source.glob("*.txt"))
        records = [
            Record(
                file.stem,
                file.stem.split("_")[0],
                int(file.stem.split("_")[1]) % 2,
                {"file": file, "shift": self.options.shift},
                group=f"group {number % 3}",
            )
            for number, file in enumerate(files)
        ]
        return Listing(tuple(records), {"rule": "by name", "files": str(len(files))})

    def encode(self, record):
        from PIL import Image

        self.encoded.append(record.key)
        content = record.source["file"].read_text()
        if not content.isdecimal():
            raise DamagedMedia(f"{record.source['file']}: {content!r} is no number")
        number = int(content) + record.source["shift"]
        pictures = []
        for shade in range(number % 10 if number % 2 == 0 else 0):
            file = io.BytesIO()
            Image.fromarray(np.full((2, 3 + shade), shade, np.uint8)).save(file, "PNG")
            pictures.append(file.getvalue())
        values = np.arange(number % 4, dtype=np.float32)
        return {"number": number, "values": values, "words": f"no {number}", "pictures": pictures}

    def decode(self, example, draws):
        del draws
        return {"number": np.float32(example["number"] * self.options.factor)[None]}


@pytest.fixture(autouse=True)
def forget():
    Numbered.encoded.clear()


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    for split, count in (("train", 20), ("test", 6)):
        for number in range(count):
            (place / f"{split}_{number:02d}.txt").write_text(str(100 + number))
    return place


def _content(builder):
    """The bytes of all records, by file."""
    found = {path.name: path.read_bytes() for path in Path(builder.data_dir).glob("*array_record*")}
    assert found
    return found


def test_what_was_encoded_comes_back(source, tmp_path):
    builder = Numbered(data_dir=tmp_path / "data")
    builder.prepare(source)
    assert builder.name == "numbered"
    assert builder.is_prepared
    assert builder.num_classes == 2
    index = builder.index
    assert list(index.keys) == sorted(path.stem for path in source.iterdir())
    assert index.splits.tolist() == ["test"] * 6 + ["train"] * 20
    assert index.labels.tolist() == [number % 2 for number in (*range(6), *range(20))]
    assert index.groups.tolist() == [f"group {row % 3}" for row in range(26)]
    for split, count in (("test", 6), ("train", 20)):
        rows = builder.as_data_source(split=split)
        assert len(rows) == count
        for number, row in enumerate(rows):
            assert row["number"] == 100 + number
            assert row["key"].decode() == f"{split}_{number:02d}"
            assert row["label"] == number % 2
            assert row["words"].decode() == f"no {100 + number}"
            np.testing.assert_array_equal(row["values"], np.arange(number % 4))
            shades = range(number % 10 if number % 2 == 0 else 0)
            assert [np.shape(p) for p in row["pictures"]] == [(2, 3 + s, 1) for s in shades]
            assert all((p == s).all() for p, s in zip(row["pictures"], shades, strict=True))
    assert builder.provenance == {"rule": "by name", "files": "26"}
    assert builder.damaged == {}
    assert not list((tmp_path / "data").rglob("*.encoded"))


def test_progress_is_told(source, tmp_path):
    told = []
    Numbered(data_dir=tmp_path).prepare(source, progress=lambda *numbers: told.append(numbers))
    assert told == [(done, 26) for done in range(1, 27)]


@pytest.mark.parametrize("threads", [1, 5])
def test_the_number_of_threads_changes_nothing(source, tmp_path, threads):
    builders = [Numbered(data_dir=tmp_path / name) for name in "ab"]
    builders[0].prepare(source, threads=2)
    builders[1].prepare(source, threads=threads)
    assert _content(builders[0]) == _content(builders[1])
    assert builders[0].index_digest() == builders[1].index_digest()


def test_a_build_that_was_stopped_goes_on(source, tmp_path):
    whole = Numbered(data_dir=tmp_path / "whole")
    whole.prepare(source)
    Numbered.encoded.clear()

    def stop(done, count):
        del count
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Numbered(data_dir=tmp_path / "data").prepare(source, threads=1, progress=stop)
    first = list(Numbered.encoded)
    assert 12 <= len(first) < 26
    Numbered.encoded.clear()
    builder = Numbered(data_dir=tmp_path / "data")
    assert not builder.is_prepared
    with pytest.raises(ValueError, match="numbered: nothing is prepared in"):
        _ = builder.index
    builder.prepare(source)
    # Nothing was done twice.
    assert sorted(first + Numbered.encoded) == sorted(whole.index.keys)
    assert _content(builder) == _content(whole)
    assert builder.index_digest() == whole.index_digest()
    assert sorted(path.name for path in (tmp_path / "data" / "numbered").iterdir()) == ["1.0.0"]


def test_a_file_that_changed_meanwhile_is_read_again(source, tmp_path):
    def stop(done, count):
        del count
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Numbered(data_dir=tmp_path / "data").prepare(source, threads=1, progress=stop)
    Numbered.encoded.clear()
    (source / "test_00.txt").write_text("7000")
    builder = Numbered(data_dir=tmp_path / "data")
    builder.prepare(source)
    assert "test_00" in Numbered.encoded
    assert "test_01" not in Numbered.encoded
    assert builder.as_data_source(split="test")[0]["number"] == 7000


def test_damaged_files_are_left_out_and_named(source, tmp_path):
    (source / "train_03.txt").write_text("three")
    (source / "test_05.txt").write_text("")
    builder = Numbered(data_dir=tmp_path)
    builder.prepare(source)
    assert builder.damaged == {
        "train_03": f"{source / 'train_03.txt'}: 'three' is no number",
        "test_05": f"{source / 'test_05.txt'}: '' is no number",
    }
    assert len(builder.index.keys) == 24
    assert not {"train_03", "test_05"} & set(builder.index.keys)
    assert [row["number"] for row in builder.as_data_source(split="train")] == [
        100 + number for number in range(20) if number != 3
    ]


def test_strict_ends_at_the_first_damaged_file(source, tmp_path):
    (source / "train_03.txt").write_text("three")
    builder = Numbered(data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"numbered: train_03: .*train_03\.txt: 'three' is no"):
        builder.prepare(source, strict=True)
    assert not builder.is_prepared
    (source / "train_03.txt").write_text("103")
    builder.prepare(source, strict=True)
    assert len(builder.index.keys) == 26


def test_a_split_without_any_sample_is_an_error(source, tmp_path):
    for path in source.glob("test_*"):
        path.write_text("none")
    with pytest.raises(ValueError, match=r"no sample of the split 'test'.* test_00: .*'none'"):
        Numbered(data_dir=tmp_path).prepare(source)


def test_options_that_shape_the_copy_are_checked_and_others_are_free(source, tmp_path):
    Numbered(data_dir=tmp_path).prepare(source)
    doubled = Numbered(data_dir=tmp_path, options=NumberedOptions(factor=2))
    assert doubled.decode(doubled.as_data_source(split="test")[1], None) == {"number": [202.0]}
    assert len(doubled.index.keys) == 26
    shifted = Numbered(data_dir=tmp_path, options=NumberedOptions(shift=1))
    message = "was prepared with shift=0, and shift=1 is asked for; prepare it in another directory"
    with pytest.raises(ValueError, match=message):
        _ = shifted.index
    with pytest.raises(ValueError, match=message):
        shifted.prepare(source)


@pytest.mark.parametrize("place", ["absent", "empty"])
def test_without_files_the_error_says_what_is_needed(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no directory with files.*\n<split>_<number>\.txt"):
        Numbered(data_dir=tmp_path / "data").prepare(tmp_path / place)


def test_a_source_that_lists_nothing_is_an_error(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "readme").write_text("")
    with pytest.raises(ValueError, match="lists no sample"):
        Numbered(data_dir=tmp_path / "data").prepare(tmp_path / "source")


def test_a_name_twice_is_an_error():
    with pytest.raises(ValueError, match="lists 'a' twice"):
        Listing((Record("a", "train", 0, {}), Record("a", "test", 1, {})), {})


def test_preparing_needs_prepare(tmp_path):
    with pytest.raises(ValueError, match=r"call prepare\(source\)"):
        Numbered(data_dir=tmp_path).download_and_prepare()


def test_digest_of_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "file") == known


def test_the_split_is_the_published_one(source, tmp_path):
    builder = Numbered(data_dir=tmp_path)
    builder.prepare(source)
    sizes = {"train_size": None, "validation_size": None, "test_size": None}
    train, validation, test = builder.split(builder.index, seed=0, split_seed=0, **sizes)
    assert test.tolist() == list(range(6))
    assert sorted([*train, *validation]) == list(range(6, 26))
    # A whole group is held out.
    groups = builder.index.groups
    assert len(set(groups[validation])) == 1
    assert not set(groups[train]) & set(groups[validation])
