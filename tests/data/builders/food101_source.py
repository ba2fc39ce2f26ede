"""A tiny UPMC Food-101, as the release unpacks, and with lists in JSON."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np

CLASSES = ("apple_pie", "baby_back_ribs", "waffles")
BERT_TOKENS = (
    *("[PAD]", "[unused0]", "[CLS]", "[SEP]", "[UNK]", "|", ",", "'", "s", "recipe", "apple"),
    *("pie", "pi", "##e", "best", "wa", "##ffles", "ribs", "creme", "##0", "##1", "no"),
)
_TITLES = {
    "apple_pie": "Grandma's Apple Pie, the {} | Recipe",
    "baby_back_ribs": 'The "{}" ribs | Recipe',
    "waffles": "Crème waffles {}",
}


def make_source(
    directory: Path,
    *,
    train: int = 24,
    test: int = 8,
    classes: tuple[str, ...] = CLASSES,
    features: bool = False,
) -> None:
    """``images/`` and ``texts/``; classes in turn; each class has a colour and a word of its own.

    With BERT's features of the titles, if they are asked for. The first images of the training list
    are grey, CMYK, and a PNG with a palette and transparency, all named ``.jpg``, as some of
    the release are.
    """
    from PIL import Image

    for split, size in (("train", train), ("test", test)):
        lines = []
        for number in range(size):
            kind = classes[number % len(classes)]
            name = f"{kind}_{number}.jpg"
            path = directory / "images" / split / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(_picture(classes.index(kind), number))
            if (split, number) == ("train", 0):
                image.convert("L").save(path, "JPEG")
            elif (split, number) == ("train", 1):
                image.convert("CMYK").save(path, "JPEG")
            elif (split, number) == ("train", 2):
                image.quantize(64).save(path, "PNG", transparency=bytes([0, 128, 255]))
            else:
                image.save(path, "JPEG", quality=90)
            lines.append((name, _TITLES.get(kind, "{}").format(f"no {number}"), kind))
        texts = directory / "texts"
        texts.mkdir(exist_ok=True)
        with (texts / f"{split}_titles.csv").open("w", encoding="utf-8", newline="") as file:
            # As in the release, lists are in no order.
            csv.writer(file).writerows(lines[::-1])
    if features:
        add_features(directory)


def make_json_source(directory: Path, *, train: int = 24, test: int = 8) -> None:
    """The same images, with ``train.json``, ``test.json`` and, of four images, ``dev.json``."""
    make_source(directory, train=train, test=test)
    lists = {"train": [], "dev": [], "test": []}
    for split in ("train", "test"):
        for number, (name, _, kind) in enumerate(read_titles(directory, split)):
            entry = {
                "id": Path(name).stem,
                "img_path": f"images/{split}/{kind}/{name}",
                "text_tokens": [101, 2000 + number, 7, 102, 0, 0],
                # Both forms are in use.
                "label": kind if number % 2 else (0, 1, 100)[CLASSES.index(kind)],
            }
            lists["dev" if split == "train" and number >= train - 4 else split].append(entry)
    shutil.rmtree(directory / "texts")
    for name, entries in lists.items():
        (directory / f"{name}.json").write_text(json.dumps(entries), encoding="utf-8")


def add_vocabulary(directory: Path) -> None:
    """A ``vocab.txt`` in BERT's form, whose special tokens are not at its start."""
    (directory / "vocab.txt").write_text("\n".join(BERT_TOKENS) + "\n", encoding="utf-8")


def add_features(directory: Path) -> None:
    """``bert_features/<list>/<image>.npy``, float16 or float32, of 2 to 5 tokens."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        folder = directory / "bert_features" / split
        folder.mkdir(parents=True)
        for number, (name, _, _) in enumerate(read_titles(directory, split)):
            features = random.normal(size=(2 + number % 4, 768))
            dtype = np.float16 if number % 2 else np.float32
            np.save(folder / f"{Path(name).stem}.npy", features.astype(dtype))


def read_titles(directory: Path, split: str) -> list[list[str]]:
    """Image, title and class of a list's lines."""
    path = directory / "texts" / f"{split}_titles.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _picture(label: int, number: int) -> np.ndarray:
    """A smooth picture: JPEG keeps it almost as it is."""
    height, width = 20 + number % 3, 24 + number % 5
    picture = np.zeros((height, width, 3), np.uint8)
    picture += np.linspace(0, 60 + 5 * (number % 8), width).astype(np.uint8)[:, None]
    picture += np.linspace(0, 40, height).astype(np.uint8)[:, None, None]
    picture[..., label] += 90
    return picture
