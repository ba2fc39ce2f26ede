"""UR-FUNNY: humour in talks, from face, voice and words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from masam_jax.core.specs import Options, option
from masam_jax.data.builders.array_unpickler import load_arrays
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.source import Listing, Record, file_digest, need
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.modality import Modality, Normalization

_WIDTHS = {"audio": 81, "text": 300, "vision": 371}
_PUNCHLINE_STEPS = "punchline_steps"

# The same content; MultiBench's name, and that of AGM's copy, which the authors' release reads.
_PACKED_NAMES = ("humor.pkl", "URFUNNY_AGM_format.pkl")
_PACKED_SPLITS = {"train": "train", "valid": "validation", "test": "test"}

# The release's pickles; the list of words has one of two names.
_FOLDS, _LABELS = "data_folds.pkl", "humor_label_sdk.pkl"
_FOLD_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_WORD_LISTS = ("language_sdk.pkl", "word_embedding_indexes_sdk.pkl")
_EMBEDDINGS = "word_embedding_list.pkl"
_FEATURES = {"audio": "covarep_features_sdk.pkl", "vision": "openface_features_sdk.pkl"}


@dataclasses.dataclass(frozen=True)
class UrFunnyOptions(Options):
    """Variants of UR-FUNNY.

    Attributes:
      max_steps: T, the words that are kept of a sample, counted from its end; at least 1.
      context: whether the sentences before the punchline are part of a sample.
      standardize: each ``"sample"`` by itself, text too; or sound and vision by columns, from the
        ``"train"`` samples.
    """

    max_steps: int = option(50, "[1, inf)")
    context: bool = True
    standardize: Literal["sample", "train"] = "sample"


class UrFunny(PublishedBuilder):
    """UR-FUNNY (Hasan et al., EMNLP 2019): does laughter follow a sentence of a TED talk?

    A sample is a punchline and the sentences before it, its context. All features are given for
    each spoken word: ``vision`` ``[T, 371]``, OpenFace 2; ``audio`` ``[T, 81]``, COVAREP; ``text``
    ``[T, 300]``, GloVe 840B. Classes: 0 not humorous, 1 humorous. Metric: accuracy. Published, mean
    of 4 seeds: late fusion .620, best previous .632 (OGM-GE), MASAM .644.

    Splits are the published ones: train, validation (``dev`` or ``valid``) and test. The authors
    keep each speaker on one side; the files do not name speakers, so samples have no group.

    Steps, from the release's pickles (version 2; version 1 has 75 columns of ``vision`` and is
    refused):

    1. The context's sentences and the punchline are joined, word after word, in each modality.
    2. Words are indices, which are looked up in the release's list of GloVe vectors.
    3. Values become float32; NaN and infinite ones, which COVAREP has, become 0.
    4. Of each modality, the last T = 50 words are kept, so that the punchline stays; shorter
       samples have zeros after their end, and a mask. If a sample's modalities differ in their
       number of words, each keeps its own.
    5. Each sample by itself, each modality by itself, text too, before 4 cuts it: ``(x - mean) /
       std``, the mean of each column over the sample's words, the deviation of all its values.
       ``standardize="train"``: ``vision`` and ``audio``, each column by its mean and standard
       deviation over the training samples' words; ``text`` stays as it is.

    Steps, from MultiBench's ``humor.pkl``, or ``URFUNNY_AGM_format.pkl``, which is the same, where
    zeros before a sample fill it to 50 words: words before the first that has a text are cut off,
    in all modalities alike; samples without any text are left out, and counted in the provenance's
    rule; then 3 to 5. Where a punchline begins is not known there, so that ``context=False`` is
    refused. Labels of -1 are class 0.

    What the MASAM paper does not state, and what was chosen: which of the files (either; the
    authors' release reads AGM's), T (50, as in MultiBench; the release keeps all words), and what
    is cut from longer samples (their start).

    All pickles are read by an unpickler that admits arrays and containers of them, and nothing else
    (`load_arrays`). They are held in memory while the data are prepared, which takes a few times
    their size. There is no augmentation.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Either the extracted features of UR-FUNNY, version 2, linked from
    https://github.com/ROC-HCI/UR-FUNNY, in this directory or in sdk_features/ below it:

        data_folds.pkl                 {"train" | "dev" | "test": [id, ...]}
        humor_label_sdk.pkl            {id: 0 or 1}
        language_sdk.pkl               {id: {"punchline_embedding_indexes": [index, ...],
                                             "context_embedding_indexes": [[index, ...], ...]}};
                                       word_embedding_indexes_sdk.pkl is read as well
        word_embedding_list.pkl        [words, 300]
        openface_features_sdk.pkl      {id: {"punchline_features": [words, 371],
                                             "context_features": [[words, 371], ...]}}
        covarep_features_sdk.pkl       the same, with 81 columns

    or the one file of MultiBench, linked from https://github.com/pliang279/MultiBench, which AGM's
    copy, URFUNNY_AGM_format.pkl, may stand for:

        humor.pkl                      {"train" | "valid" | "test": {"vision": [N, T, 371],
                                       "audio": [N, T, 81], "text": [N, T, 300], "labels": [N, 1]}}
    """
    TITLE = "UR-FUNNY"
    CLASS_NAMES = ("not_humorous", "humorous")
    METRIC = "accuracy"
    HOMEPAGE = "https://github.com/ROC-HCI/UR-FUNNY"
    CITATION = """@inproceedings{hasan2019urfunny,
      title={{UR-FUNNY}: A Multimodal Language Dataset for Understanding Humor},
      author={Hasan, Md Kamrul and Rahman, Wasifur and Zadeh, Amir and Zhong, Jianyuan and
              Tanveer, Md Iftekhar and Morency, Louis-Philippe and Hoque, Mohammed (Ehsan)},
      booktitle={EMNLP}, year={2019}, url={https://aclanthology.org/D19-1211/}}"""
    OPTIONS: ClassVar[type] = UrFunnyOptions

    def _rule(self, name: str) -> Literal["none", "feature"]:
        by_sample = self.options.standardize == "sample"
        return "none" if by_sample or name == "text" else "feature"

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``audio``, ``text`` and ``vision``: words' features, each with a mask."""
        steps = self.options.max_steps
        return {
            name: Modality(
                "sequence",
                (steps, width),
                normalization=Normalization(self._rule(name)),
            )
            for name, width in _WIDTHS.items()
        }

    def stored_features(self) -> dict[str, Any]:
        """All words' features, and how many of the last are the punchline's; 0 if not known."""
        features: dict[str, Any] = {
            name: tfds.features.Tensor(shape=(None, width), dtype=np.float32)
            for name, width in _WIDTHS.items()
        }
        steps = tfds.features.Tensor(shape=(len(_WIDTHS),), dtype=np.int32)
        return {**features, _PUNCHLINE_STEPS: steps}

    def listing(self, source: Path) -> Listing:
        """Samples in the order of the splits, those of a split by id, or by row."""
        both = [source / name for name in _PACKED_NAMES]
        if all(path.exists() for path in both):
            raise ValueError(f"{source} holds {' and '.join(_PACKED_NAMES)}; one must go.")
        packed = next((path for path in both if path.exists()), both[0])
        places = (source, source / "sdk_features")
        folder = next((place for place in places if (place / _FOLDS).exists()), None)
        if folder is not None and packed.exists():
            raise ValueError(
                f"{source} holds {packed.name} and {_FOLDS}; leave the one that is meant."
            )
        if folder is not None:
            return _list_release(folder)
        need(packed, f"this file, or {_FOLDS} and what belongs to it,")
        if not self.options.context:
            raise ValueError(f"context is False, but {packed} does not say where punchlines begin.")
        return _list_packed(packed)

    def encode(self, record: Record) -> dict[str, Any]:
        """All words of a sample, finite."""
        found: dict[str, Any] = {}
        punchline_steps = []
        for name, width in _WIDTHS.items():
            blocks, embeddings = record.source[name], record.source["embeddings"]
            what = f"{record.source['files'][name]}: {name} of {record.key}"
            if blocks is None:
                raise DamagedMedia(f"{what} is missing")
            try:
                if name == "text" and embeddings is not None:
                    tables = [_look_up(embeddings, block) for block in blocks]
                else:
                    tables = [_table(block, width) for block in blocks]
            except (ValueError, TypeError) as error:
                raise DamagedMedia(f"{what}: {error}") from error
            if not len(tables[-1]):
                raise DamagedMedia(f"{what} has a punchline without words")
            is_known = record.source["files"][name] not in _PACKED_NAMES
            punchline_steps.append(len(tables[-1]) if is_known else 0)
            found[name] = np.concatenate(tables)
        return {**found, _PUNCHLINE_STEPS: np.array(punchline_steps, np.int32)}

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """The last words of a sample.

        Raises:
          ValueError: ``context`` is False, and where the punchline begins is not known.
        """
        del draws
        length = self.options.max_steps
        if not self.options.context and not example[_PUNCHLINE_STEPS].all():
            raise ValueError(
                f"context is False, but the data were prepared from {_PACKED_NAMES[0]}, which does"
                " not say"
                " where punchlines begin."
            )
        sample = {}
        for name, punchline in zip(_WIDTHS, example[_PUNCHLINE_STEPS], strict=True):
            rows = example[name] if self.options.context else example[name][-int(punchline) :]
            if self.options.standardize == "sample":
                rows = _standardized(rows)
            rows = rows[-length:]
            values = np.zeros((length, _WIDTHS[name]), np.float32)
            values[: len(rows)] = rows
            sample[name] = {"values": values, "mask": np.arange(length) < len(rows)}
        return sample


def _list_release(folder: Path) -> Listing:
    folds, labels = _load_dict(folder / _FOLDS), _load_dict(folder / _LABELS)
    words = folder / _WORD_LISTS[not (folder / _WORD_LISTS[0]).exists()]
    files = {name: folder / file for name, file in _FEATURES.items()} | {"text": words}
    features = {name: _load_dict(file) for name, file in files.items()}
    embeddings = _embeddings(folder / _EMBEDDINGS)
    names = {name: file.name for name, file in files.items()}
    records = []
    for fold, split in _FOLD_SPLITS.items():
        if fold not in folds:
            raise ValueError(
                f"{folder / _FOLDS} has {sorted(map(str, folds))}; {fold!r} is needed."
            )
        for sample in sorted(np.ravel(folds[fold]).tolist(), key=lambda i: (len(str(i)), str(i))):
            if sample not in labels:
                raise ValueError(f"{folder / _LABELS} has no label of {sample!r}, which is listed.")
            label = _class(labels[sample], f"{folder / _LABELS}: {sample!r}")
            source: dict[str, Any] = {"embeddings": embeddings, "files": names}
            for name, table in features.items():
                suffix = "embedding_indexes" if name == "text" else "features"
                source[name] = _blocks(table.get(sample), suffix)
            records.append(Record(str(sample), split, label, source))
    provenance = {
        "rule": f"The splits of {_FOLDS}, the labels of {_LABELS}.",
        **{name: file_digest(folder / name) for name in (_FOLDS, _LABELS)},
    }
    return Listing(tuple(records), provenance)


def _list_packed(path: Path) -> Listing:
    parts = _load_dict(path)
    records, left_out = [], 0
    for part, split in _PACKED_SPLITS.items():
        table = parts.get(part)
        if not isinstance(table, dict) or not {*_WIDTHS, "labels"} <= set(table):
            raise ValueError(f"{path} has no {part!r} with {[*_WIDTHS, 'labels']}.")
        for name, width in _WIDTHS.items():
            shape = np.shape(table[name])
            if len(shape) != 3 or shape[2] != width or shape[0] != len(table["labels"]):
                raise ValueError(
                    f"{path}: {part}/{name} has shape {shape}; [{len(table['labels'])}, T, {width}]"
                    " is needed."
                )
        for row, label in enumerate(table["labels"]):
            key = f"{part}_{row:05d}"
            real = np.flatnonzero(np.any(table["text"][row] != 0, axis=1))
            if not len(real):
                left_out += 1
                continue
            source: dict[str, Any] = {
                "embeddings": None,
                "files": dict.fromkeys(_WIDTHS, path.name),
            }
            for name in _WIDTHS:
                source[name] = [table[name][row][real[0] :]]
            records.append(Record(key, split, _class(label, f"{path}: {key}"), source))
    rule = f"The splits of {path.name}; {left_out} samples without any text are left out."
    return Listing(tuple(records), {"rule": rule, path.name: file_digest(path)})


def _load_dict(path: Path) -> dict[Any, Any]:
    found = load_arrays(need(path, "a pickle of UR-FUNNY"))
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds a {type(found).__name__}; a dict is needed.")
    return found


def _embeddings(path: Path) -> np.ndarray:
    found = load_arrays(need(path, "the list of word vectors"))
    try:
        return _table(found, _WIDTHS["text"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _blocks(sample: Any, suffix: str) -> list[Any] | None:
    """The sentences of the context, then the punchline; None where there is no punchline."""
    if not isinstance(sample, dict) or sample.get(f"punchline_{suffix}") is None:
        return None
    context = sample.get(f"context_{suffix}")
    return [*([] if context is None else context), sample[f"punchline_{suffix}"]]


def _class(value: Any, what: str) -> int:
    found = np.asarray(value).reshape(-1)
    if found.shape != (1,) or found[0] not in (-1, 0, 1):
        raise ValueError(f"{what} has the label {value!r}; 0 (or -1) or 1 is needed.")
    return int(found[0] == 1)


def _table(block: Any, width: int) -> np.ndarray:
    """Rows of finite float32, ``[words, width]``."""
    # Values beyond float32 become infinite here, and 0 below.
    with np.errstate(over="ignore"):
        rows = np.asarray(block, np.float32)
    if not rows.size:
        return np.zeros((0, width), np.float32)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"an array has shape {rows.shape}; [words, {width}] is needed.")
    return np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)


def _standardized(rows: np.ndarray) -> np.ndarray:
    """A sample's words ``[n, D]``: less each column's mean, by the deviation of all its values."""
    values = rows.astype(np.float64)
    deviation = values.std(ddof=1) if values.size > 1 else 0.0
    return ((values - values.mean(axis=0)) / (deviation + 1e-8)).astype(np.float32)


def _look_up(embeddings: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    """Vectors of words, ``[words, 300]``."""
    found = np.asarray(indices).reshape(-1)
    if not found.size:
        return embeddings[:0]
    rows = found.astype(np.int64)
    if (rows != found).any() or rows.min() < 0 or rows.max() >= len(embeddings):
        raise ValueError(f"words have indices {found}; they must lie in 0..{len(embeddings) - 1}.")
    return embeddings[rows]
