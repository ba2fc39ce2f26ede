"""A tiny UR-FUNNY, in the layouts of its own release and of MultiBench."""

import pickle
from pathlib import Path

import numpy as np

WIDTHS = {"audio": 81, "text": 300, "vision": 371}
WORDS = 40
"""Entries of the list of word vectors; the first is of zeros."""


def make_source(
    directory: Path, *, train: int = 24, validation: int = 8, test: int = 8, seed: int = 0
) -> None:
    """The release's pickles, as they unpack: ``sdk_features/*.pkl``.

    Samples have 3 to 6 words of punchline and up to two sentences of context. Ids are integers;
    class 1 has larger values in every modality. COVAREP's have infinite and missing values.
    """
    folder = directory / "sdk_features"
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    folds, start = {}, 1
    for fold, size in (("train", train), ("dev", validation), ("test", test)):
        # In the release, ids are in no order.
        folds[fold] = [int(i) for i in random.permutation(np.arange(start, start + size))]
        start += size
    labels, words, vision, audio = {}, {}, {}, {}
    for sample in range(1, start):
        label = sample % 2
        lengths = [*random.integers(2, 6, random.integers(0, 3)), random.integers(3, 7)]
        indices = [random.integers(1 + label * WORDS // 2, WORDS, n).tolist() for n in lengths]
        faces = [random.normal(label, 1.0, (n, WIDTHS["vision"])) for n in lengths]
        voices = [random.normal(label, 1.0, (n, WIDTHS["audio"])) for n in lengths]
        voices[-1][0, :3] = (-np.inf, np.nan, np.inf)
        labels[sample] = label
        words[sample] = {
            "punchline_embedding_indexes": indices[-1],
            "context_embedding_indexes": indices[:-1],
            "punchline_sentence": " ".join(f"word{i}" for i in indices[-1]),
            "context_sentences": [" ".join(f"word{i}" for i in sentence) for sentence in indices],
        }
        # The release has lists of lists in places, arrays in others.
        vision[sample] = {"punchline_features": faces[-1], "context_features": faces[:-1]}
        audio[sample] = {
            "punchline_features": voices[-1].tolist(),
            "context_features": [sentence.tolist() for sentence in voices[:-1]],
        }
    vectors = random.normal(size=(WORDS, WIDTHS["text"]))
    vectors[0] = 0
    vectors[WORDS // 2 :, 0] += 2
    files = {
        "data_folds": folds,
        "humor_label_sdk": labels,
        "language_sdk": words,
        "word_embedding_list": list(vectors),
        "openface_features_sdk": vision,
        "covarep_features_sdk": audio,
    }
    for name, content in files.items():
        write(folder / f"{name}.pkl", content)


def make_packed_source(directory: Path, *, train: int = 24, seed: int = 0) -> None:
    """MultiBench's ``humor.pkl``: 50 steps, of which the last are words; labels of -1 and 1.

    The second training sample has no text.
    """
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    parts = {}
    for part, size in (("train", train), ("valid", 6), ("test", 8)):
        labels = np.arange(size) % 2
        starts = random.integers(30, 48, size)
        table = {}
        for name, width in WIDTHS.items():
            values = random.normal(labels[:, None, None], 1.0, (size, 50, width))
            values *= np.arange(50)[:, None] >= starts[:, None, None]
            table[name] = values.astype(np.float32)
        table["audio"][0, -1, :2] = (-np.inf, np.nan)
        table["labels"] = np.where(labels, 1.0, -1.0)[:, None]
        table["id"] = np.array([f"{part}{i}" for i in range(size)], object)
        parts[part] = table
    parts["train"]["text"][1] = 0
    write(directory / "humor.pkl", parts)


def write(path: Path, content: object) -> None:
    """A pickle, as Python 3 with an older NumPy wrote it."""
    path.write_bytes(pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core"))


def read(path: Path) -> object:
    """What `write` wrote."""
    return pickle.loads(path.read_bytes().replace(b"numpy.core", b"numpy._core"))
