"""UPMC Food-101: dishes, from a photograph and the title of the page that showed it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from masam_jax.core.specs import Options, option
from masam_jax.data.array_files import read_npy
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.food101_lists import features_folder, read_lists
from masam_jax.data.builders.source import Listing, Record, file_digest
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.damaged_media import DamagedMedia, damaged, require_file
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.data.transforms.image_augmentation import (
    horizontal_flip,
    random_resized_crop,
    resize,
)
from masam_jax.data.transforms.image_file import image_bytes, opened_image
from masam_jax.data.transforms.tokens import Tokenizer, count_words, pad_tokens, read_vocabulary

_BERT_WIDTH = 768
_VOCABULARY = "vocab.txt"
_JPEG_QUALITY = 95
# What stands in for an image that cannot be decoded, as the authors' release has it.
_GREY, _GREY_SIZE = 128, 224
# Of BERT's features of one title.
_MOST_FEATURE_BYTES = 2**26

_NAMES = """
apple_pie baby_back_ribs baklava beef_carpaccio beef_tartare beet_salad beignets bibimbap
bread_pudding breakfast_burrito bruschetta caesar_salad cannoli caprese_salad carrot_cake ceviche
cheese_plate cheesecake chicken_curry chicken_quesadilla chicken_wings chocolate_cake
chocolate_mousse churros clam_chowder club_sandwich crab_cakes creme_brulee croque_madame cup_cakes
deviled_eggs donuts dumplings edamame eggs_benedict escargots falafel filet_mignon fish_and_chips
foie_gras french_fries french_onion_soup french_toast fried_calamari fried_rice frozen_yogurt
garlic_bread gnocchi greek_salad grilled_cheese_sandwich grilled_salmon guacamole gyoza hamburger
hot_and_sour_soup hot_dog huevos_rancheros hummus ice_cream lasagna lobster_bisque
lobster_roll_sandwich macaroni_and_cheese macarons miso_soup mussels nachos omelette onion_rings
oysters pad_thai paella pancakes panna_cotta peking_duck pho pizza pork_chop poutine prime_rib
pulled_pork_sandwich ramen ravioli red_velvet_cake risotto samosa sashimi scallops seaweed_salad
shrimp_and_grits spaghetti_bolognese spaghetti_carbonara spring_rolls steak strawberry_shortcake
sushi tacos takoyaki tiramisu tuna_tartare waffles
"""


@dataclasses.dataclass(frozen=True)
class Food101Options(Options):
    """Variants of Food-101.

    Attributes:
      text: ``"bert"``, features that BERT gave of the title, or ``"tokens"``, the title's tokens.
      length: L, the tokens or features that are kept of a title; at least 2.
      image_size: side of the images, in pixels.
      vocabulary_size: of the tokens; BERT's by default, and most words of a counted vocabulary.
      damaged: an image that cannot be decoded becomes ``"grey"``, or the sample is ``"left_out"``.
    """

    text: Literal["tokens", "bert"] = "bert"
    length: int = option(64, "[2, inf)")
    image_size: int = option(224, "[1, inf)")
    vocabulary_size: int = option(30522, "[5, inf)")
    damaged: Literal["grey", "left_out"] = "grey"


class Food101(PublishedBuilder):
    """UPMC Food-101 (Wang et al., 2015): which of 101 dishes does a recipe's page show?

    Modalities: ``image``, uint8 ``[224, 224, 3]``, and ``text``, the page's title. Metric:
    accuracy. Published, mean of 4 seeds: late fusion .907, best previous .928 (MLA), MASAM .935.

    Splits: train and test are the published ones; there is no validation (unless a ``dev`` or
    ``val`` list is given, or ``split.json`` names one), so that a tenth of the training samples,
    stratified by class, is held out. No groups are known: a page has one image.

    Images, in order:

    1. The file is decoded once, to see that it can be; what cannot becomes a grey image (value 128)
       and is reported, a file that is missing is left out (``damaged=left_out``: both). A JPEG in
       RGB is stored as it is; anything else (grey, CMYK, palette, PNG and GIF with a name in
       ``.jpg``) is brought to RGB, without its transparency, and stored as JPEG of quality 95.
       Orientation tags are ignored.
    2. Training: RandomResizedCrop to 224 (area .08 to 1, shape 3/4 to 4/3, bilinear), then left and
       right exchanged with chance 1/2. Test: the whole image made 224 × 224, whatever its shape.
    3. ImageNet's mean and standard deviation of each channel, on the device.

    Titles: BERT's features, which were made beforehand, ``[n, 768]`` of each, of which the first L
    are kept; they are not standardised. With ``text="tokens"``, in order:

    1. Lists whose ``text_tokens`` are numbers have tokens already, which are taken as they are;
       zeros at their end are padding. Words are joined to a title. A title is cut into words as
       uncased BERT does: control characters and accents go, letters become small, punctuation
       marks are words.
    2. With a ``vocab.txt`` of BERT in the source directory, words become its word pieces. Without,
       words are numbered by how often the published training titles have them (equally frequent
       ones alphabetically; at most ``vocabulary_size`` numbers), the others are ``[UNK]``; 0 is
       ``[PAD]``, 1 ``[UNK]``, 2 ``[CLS]``, 3 ``[SEP]``. A title is ``[CLS]``, its tokens and
       ``[SEP]``. The numbers are stored with each sample, the vocabulary beside them (`tokenize`).
    3. The first L = 64 tokens are kept; shorter titles have zeros after their end, and a mask.
       There is no augmentation.

    In the tables of titles a line is one image, whatever its quotes: titles from the web have inch
    marks, and quotes that are never closed.

    Where this differs from the authors' release, and why: L (its features have 32 rows; here as
    many as the files have, at most 64), the held-out tenth where there is no validation list (it
    has lists of its own). The vocabulary without BERT's is chosen here.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    UPMC Food-101, from https://visiir.isir.upmc.fr/explore, as it unpacks:

        images/train/<class>/<class>_<n>.jpg
        images/test/<class>/<class>_<n>.jpg
        texts/train_titles.csv         image's name, title, class
        texts/test_titles.csv

    or, in place of texts/, lists train.json, test.json and, if there is one, dev.json or val.json,
    here or in one folder, such as cggm_json_with_bert/ (one list, or with the ending .jsonl an
    entry a line):

        {"id": ..., "img_path": path below this directory, "text_tokens": [number or word, ...],
         "label": class or its number}

    where "img" may stand for "img_path", and "text", a title, for "text_tokens"; of an absolute
    path the end that is below this directory counts. Beside texts/ there may be

        split.json                     {"train": [image, ...], "val": [...], "test": [...]}

    And BERT's features of each title, [n, 768] (not needed with the option text=tokens):

        bert_features/<list>/<id>.npy  or features/, such as bert_features/train/apple_pie_0.npy
                                       (the image's name may stand for the id), here or beside the
                                       lists; if the folder is there, it must hold the features of
                                       all samples

    Optional, for tokens:

        vocab.txt                      of a BERT model; titles become its word pieces
    """
    TITLE = "UPMC Food-101"
    CLASS_NAMES = tuple(_NAMES.split())
    METRIC = "accuracy"
    HOMEPAGE = "https://visiir.isir.upmc.fr/explore"
    CITATION = """@inproceedings{wang2015recipe,
      title={Recipe recognition with large multimodal food dataset},
      author={Wang, Xin and Kumar, Devinder and Thome, Nicolas and Cord, Matthieu and
              Precioso, Frederic},
      booktitle={IEEE International Conference on Multimedia and Expo Workshops}, year={2015}}"""
    OPTIONS: ClassVar[type] = Food101Options
    CACHED = True
    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar[Mapping[str, str]] = {
        "1.1.0": "One image a line of the titles, whatever their quotes; grey for damaged images.",
    }
    PREPARED_WITH = ("vocabulary_size", "damaged")

    _vocabulary: tuple[str, ...] = ()
    _pieces = False

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``image``, pixels, and ``text``, tokens or features with a mask."""
        size, length = self.options.image_size, self.options.length
        text = Modality("sequence", (length, _BERT_WIDTH), normalization=Normalization("none"))
        if self.options.text == "tokens":
            size_of = self.options.vocabulary_size
            text = Modality("tokens", (length,), np.int32, Normalization("none"), size_of)
        return {"image": Modality("image", (size, size, 3), np.uint8, IMAGENET), "text": text}

    def stored_features(self) -> dict[str, Any]:
        """The image, all tokens of the title, and BERT's features of them if there are any."""
        return {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "tokens": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "features": tfds.features.Tensor(shape=(None, _BERT_WIDTH), dtype=np.float32),
        }

    def listing(self, source: Path) -> Listing:
        """Samples in the order of the lists' splits, those of a split by name."""
        classes = {name: number for number, name in enumerate(self.CLASS_NAMES)}
        rows, files, warnings = read_lists(source, classes)
        folder = features_folder(source)
        has_features = folder.is_dir()
        if self.options.text == "bert" and not has_features:
            raise ValueError(
                f"text is 'bert', but {folder} is no directory: BERT's features of the titles are"
                " needed there, <list>/<image>.npy, or the option text=tokens."
            )
        rule = "The published lists."
        if (source / _VOCABULARY).exists():
            files.append(source / _VOCABULARY)
            self._vocabulary, self._pieces = read_vocabulary(source / _VOCABULARY), True
            rule += " Titles are cut into the word pieces of vocab.txt."
        elif any(row.tokens is None for row in rows):
            titles = (row.title for row in rows if row.split == "train" and row.tokens is None)
            self._vocabulary = count_words(titles, self.options.vocabulary_size)
            self._pieces = False
            digest = hashlib.sha256("\n".join(self._vocabulary).encode()).hexdigest()
            rule += f" Words are counted in the training titles (sha256 {digest})."
        tokenizer = Tokenizer(self._vocabulary, pieces=self._pieces) if self._vocabulary else None
        records = []
        for row in rows:
            tokens = row.tokens
            if tokens is None and tokenizer is not None:
                tokens = tuple(tokenizer(row.title))
            if max(tokens or (0,)) >= self.options.vocabulary_size:
                raise ValueError(
                    f"{row.where}: a token is {max(tokens or ())}; vocabulary_size is"
                    f" {self.options.vocabulary_size} and must be greater."
                )
            media: dict[str, Any] = {"image": row.image, "tokens": tokens}
            media["features"] = row.features if has_features else None
            records.append(Record(row.key, row.split, row.label, media))
        provenance = {file.relative_to(source).as_posix(): file_digest(file) for file in files}
        return Listing(tuple(records), {"rule": rule, **provenance}, warnings)

    def kept_for_files(self) -> Any:
        """The vocabulary, where titles are tokens."""
        return self._metadata()["vocabulary"] if self.options.text == "tokens" else None

    def source_of_files(self, cells: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """An image, and BERT's features of its title, or the title with ``text=tokens``.

        Raises:
          ValueError: with ``text=tokens``: the data were prepared without a vocabulary.
        """
        image = folder / Path(cells["image"]).expanduser()
        if self.options.text == "bert":
            features = folder / Path(cells["text"]).expanduser()
            return {"image": image, "tokens": (0,), "features": features}
        tokens = tuple(self._tokenizer(cells["text"]))
        return {"image": image, "tokens": tokens, "features": None}

    def encode(self, record: Record) -> dict[str, Any]:
        """The image as JPEG in RGB, tokens and features."""
        tokens, path = np.array(record.source["tokens"], np.int32), record.source["features"]
        if not len(tokens):
            raise DamagedMedia(f"{record.source['image']}: its list gives it no token")
        features = np.zeros((0, _BERT_WIDTH), np.float32) if path is None else _read_features(path)
        stored = {"image": b"", "tokens": tokens, "features": features}
        path = record.source["image"]
        try:
            return {**stored, "image": _read_jpeg(path)}
        except DamagedMedia as error:
            if self.options.damaged == "left_out" or not path.is_file():
                raise
            grey = {**stored, "image": _grey_jpeg()}
            raise DamagedMedia(str(error), instead=grey, modality="image") from error

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """The image, augmented if there are draws, and the first tokens or features."""
        size, length = self.options.image_size, self.options.length
        image = example["image"]
        if draws is None:
            image = resize(image, size)
        else:
            image = horizontal_flip(random_resized_crop(image, size, draws), draws)
        if self.options.text == "tokens":
            return {"image": image, "text": pad_tokens(example["tokens"], length)}
        rows = example["features"][:length]
        if not len(rows):
            raise ValueError("text is 'bert', but the data were prepared without features/.")
        values = np.zeros((length, _BERT_WIDTH), np.float32)
        values[: len(rows)] = rows
        return {"image": image, "text": {"mask": np.arange(length) < len(rows), "values": values}}

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Word pieces or words of the prepared data's tokens; empty if only numbers were given."""
        return tuple(self._metadata()["vocabulary"]["tokens"])

    def tokenize(self, title: str) -> dict[str, np.ndarray]:
        """The sample of a title that is not in the data, with the prepared data's vocabulary.

        Raises:
          ValueError: the data were prepared from numbers alone.
        """
        return pad_tokens(np.array(self._tokenizer(title)), self.options.length)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        """With the vocabulary that a run kept, or else that of the prepared data."""
        stored = self._metadata()["vocabulary"] if self.kept is None else self.kept
        if not stored["tokens"]:
            raise ValueError("the data were prepared from tokens, without a vocabulary.")
        return Tokenizer(stored["tokens"], pieces=stored["pieces"])

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        generators = super()._split_generators(dl_manager)
        stored = {"tokens": list(self._vocabulary), "pieces": self._pieces}
        self.info.metadata["vocabulary"] = stored
        return generators


def _read_jpeg(path: Path) -> bytes:
    """The file's content as JPEG in RGB, decoded once to see that it can be."""
    try:
        content = image_bytes(path)
        with opened_image(content) as image:
            image.load()
            if image.format in ("JPEG", "MPO") and image.mode == "RGB":
                return content
            # Pillow warns of palettes with transparency that are brought to RGB at once.
            opaque = image.convert("RGBA") if image.mode == "P" else image
            written = io.BytesIO()
            opaque.convert("RGB").save(written, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
            return written.getvalue()
    except DamagedMedia:
        raise
    except Exception as error:
        # Each of Pillow's decoders has its own kinds of error.
        raise damaged(path, error) from error


def _grey_jpeg() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    size = (_GREY_SIZE, _GREY_SIZE)
    Image.new("RGB", size, (_GREY,) * 3).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _read_features(path: Path) -> np.ndarray:
    """BERT's features of a title, float32 ``[n, 768]``."""
    try:
        require_file(path, _MOST_FEATURE_BYTES)
        features = read_npy(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if np.ndim(features) == 3 and len(features) == 1:
        features = features[0]
    shape = np.shape(features)
    if len(shape) != 2 or shape[1] != _BERT_WIDTH or not shape[0]:
        raise DamagedMedia(f"{path}: shape {shape}; [n, {_BERT_WIDTH}] is needed")
    if not np.issubdtype(features.dtype, np.floating) or not np.isfinite(features).all():
        raise DamagedMedia(f"{path}: {features.dtype}, not all finite; finite floats are needed")
    return features.astype(np.float32)
