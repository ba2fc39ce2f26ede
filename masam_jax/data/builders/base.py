"""The common part of all published data sets: a TFDS builder that never needs TensorFlow."""

from __future__ import annotations

import abc
import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from masam_jax.data.builders.build_job import BuildJob, OnSample
from masam_jax.data.builders.index import Index
from masam_jax.data.builders.lost_modalities import lost_modalities
from masam_jax.data.builders.parallel import Encode, EncodedCache, encode_in_order
from masam_jax.data.builders.quiet_tfds import quiet_tfds
from masam_jax.data.builders.source import Listing, Record, check_places
from masam_jax.data.builders.stored_images import as_read
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.constant_inputs import constant_parts
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.modality import Modality
from masam_jax.data.splits import Split, published_split

quiet_tfds()

# Beside what a data set stores of a sample, every record holds these.
_LABEL, _KEY = "label", "key"


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """A data set without options."""


class PublishedBuilder(tfds.core.GeneratorBasedBuilder):
    """A published data set: how its files are listed, stored, decoded and split.

    A subclass states its facts as class attributes and implements `stored_features`, `listing`,
    `encode`, `modalities` and `decode`. What is stored (compressed images, waveforms, text, tables)
    is close to the source; `decode` makes of it what the network sees, so that variants of the
    preprocessing share one prepared copy.

    Args:
      data_dir: where prepared data live.
      options: variant of the preprocessing; the published one when None.
      file_format: fixed; present because TFDS passes it.

    Attributes:
      TITLE: name for people.
      CLASS_NAMES: names of the C classes, or of the K labels.
      MULTI_LABEL: whether a sample has K labels of zero or one, rather than one class.
      METRIC: the published metric, a name of ``masam_jax.training.classification_metrics``.
      HOMEPAGE: where the data are.
      CITATION: the paper.
      OPTIONS: frozen dataclass of variants; its defaults are the published setting.
      CACHED: whether encoding is costly enough to be kept while a build is under way.
      IN_MEMORY: whether training keeps all decoded samples in memory; for small data alone.
      NEEDS_SOURCE: whether files are needed, rather than made.
      PREPARED_WITH: options that shape the prepared copy; all others share one.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[Mapping[str, str]] = {"1.0.0": "First release."}
    TITLE: ClassVar[str]
    CLASS_NAMES: ClassVar[tuple[str, ...]]
    MULTI_LABEL: ClassVar[bool] = False
    METRIC: ClassVar[str] = "accuracy"
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]
    OPTIONS: ClassVar[type] = NoOptions
    CACHED: ClassVar[bool] = False
    IN_MEMORY: ClassVar[bool] = False
    NEEDS_SOURCE: ClassVar[bool] = True
    PREPARED_WITH: ClassVar[tuple[str, ...]] = ()

    fitted: Any = None
    """What `fit` found in the training samples; `decode` may need it."""
    kept: Any = None
    """What `kept_for_files` returned when a run was trained; `source_of_files` may need it."""

    def __init__(self, *, data_dir: Any, options: Any = None, file_format: Any = None) -> None:
        del file_format
        self.options = self.OPTIONS() if options is None else options
        self._job: BuildJob | None = None
        super().__init__(data_dir=data_dir, file_format="array_record")

    # What a data set states.

    @property
    @abc.abstractmethod
    def modalities(self) -> Mapping[str, Modality]:
        """What each modality's samples look like, for these options."""

    @abc.abstractmethod
    def stored_features(self) -> dict[str, Any]:
        """TFDS features of what is stored of a sample, without its label and key.

        Images are ``tfds.features.Image(encoding_format="jpeg" or "png")``, given as ``bytes`` by
        `encode`, several of them ``tfds.features.Sequence`` of it, given as a list of ``bytes``;
        anything else is a ``Tensor``, ``Scalar`` or ``Text``.
        """

    @abc.abstractmethod
    def listing(self, source: Path) -> Listing:
        """All samples in the source directory; reads lists and tables, never media.

        Raises:
          ValueError: files are not where the instructions say, or their content is not as expected.
        """

    @abc.abstractmethod
    def encode(self, record: Record) -> dict[str, Any]:
        """What is stored of a sample: arrays, numbers, text, ``bytes`` or a list of ``bytes``.

        Runs in several threads.

        Raises:
          DamagedMedia: a file of it is missing or damaged.
        """

    @abc.abstractmethod
    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """What the network sees of a stored sample: modality -> sample as `modalities` says.

        A modality that the sample lacks is left out: readers put zeros in its place, and mark it
        absent. Only where `has_missing` is True may there be such samples.

        Args:
          example: NumPy arrays (images as uint8 ``[H, W, C]``, several of them a sequence of
            such), text as bytes.
          draws: for random augmentation; None for none, as at test time.
        """

    def kept_for_files(self) -> Any:
        """What `source_of_files` needs of the prepared data, plain values; None mostly."""
        return None

    def source_of_files(self, cells: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """What `encode` reads of a sample that is in no list: `Record.source`.

        Args:
          cells: modality -> path, or text.
          folder: what relative paths are relative to.

        Raises:
          ValueError: samples of this data set are no files.
        """
        del cells, folder
        kinds = ", ".join(f"{m} {list(spec.shape)}" for m, spec in self.modalities.items())
        raise ValueError(
            f"{self.name}: its samples are no files that a table could name; an .npz file of arrays"
            f" x_MODALITY is read: {kinds}, a row a sample"
        )

    def lacks(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Modalities that a sample lacks, by what `encode` returned; see `has_missing`."""
        del found
        return ()

    def fit(self, examples: Callable[[], Iterator[Mapping[str, Any]]]) -> Any:
        """What `decode` needs to know of the training samples beside normalisation; None mostly.

        Args:
          examples: goes through the stored training samples.
        """
        del examples

    def parts(self, index: Index, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Which part every row belongs to, and whose it is; a data set with folds overrides it.

        Args:
          index: what is known of the rows.
          split_seed: for what is drawn.

        Returns:
          ``[N]`` of ``"train"``, ``"validation"``, ``"test"``, or ``"none"`` for rows that are left
          out; and ``[N]`` names of groups, as of `Index`.
        """
        del split_seed
        return index.splits, index.groups

    # What follows from it.

    def split(
        self,
        index: Index,
        *,
        seed: int,
        split_seed: int,
        train_size: int | None,
        validation_size: int | None,
        test_size: int | None,
    ) -> Split:
        """Rows of the three parts, for one training seed."""
        splits, groups = self.parts(index, split_seed)
        return published_split(
            splits,
            index.labels,
            groups,
            seed=seed,
            split_seed=split_seed,
            train_size=train_size,
            validation_size=validation_size,
            test_size=test_size,
        )

    def stored(self, record: Record) -> dict[str, Any]:
        """What `decode` is given of a record: as if it had been stored, and read back.

        Raises:
          DamagedMedia: a file of it is missing or damaged.
        """
        return as_read(self.encode(record), self.stored_features())

    @property
    def num_classes(self) -> int:
        """C, or K."""
        return len(self.CLASS_NAMES)

    @property
    def has_missing(self) -> bool:
        """Whether, with these options, samples may lack a modality, which `decode` leaves out."""
        return False

    @property
    def is_prepared(self) -> bool:
        """Whether the data can be read."""
        return (Path(self.data_dir) / "dataset_info.json").is_file()

    @property
    def index(self) -> Index:
        """What is known of every sample, read from the prepared data.

        Raises:
          ValueError: nothing was prepared, or with other options of ``PREPARED_WITH``.
        """
        metadata = self._metadata()
        self._check_prepared_with(metadata["options"])
        return Index.of_tables(metadata["index"])

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Words of the prepared data's tokens, by number; empty where they are not known."""
        return ()

    @property
    def provenance(self) -> Mapping[str, str]:
        """Rule and checksums of the lists that the prepared data were made from."""
        return self._metadata()["provenance"]

    @property
    def prepared_options(self) -> Mapping[str, Any]:
        """Options that the prepared data were made with."""
        return self._metadata()["options"]

    @property
    def damaged(self) -> Mapping[str, str]:
        """Samples left out when the data were prepared, and why."""
        return self._metadata()["damaged"]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the source when the data were prepared, a sentence each."""
        return tuple(self._metadata().get("warnings", ()))

    @property
    def replaced(self) -> Mapping[str, str]:
        """Samples of which a part could not be read and has a stand-in, and why."""
        return self._metadata().get("replaced", {})

    @property
    def lacking(self) -> Mapping[str, frozenset[str]]:
        """Modality -> names of the samples that lack it, or have a stand-in."""
        found = self._metadata().get("lacking", {})
        return {name: frozenset(keys) for name, keys in found.items()}

    @property
    def constant(self) -> Mapping[str, Sequence[str]]:
        """Stored part -> samples in which all of its values are one: silence, or one colour."""
        # Data that were prepared before this was looked for say nothing.
        return self._metadata().get("constant", {})

    def prepare(
        self,
        source: Path | None,
        *,
        strict: bool = False,
        threads: int = 2,
        progress: OnSample | None = None,
    ) -> None:
        """Reads the source and writes the prepared data; goes on where it was if it was stopped.

        Args:
          source: the directory, laid out as ``MANUAL_DOWNLOAD_INSTRUCTIONS`` say; None will do
            where no files are needed.
          strict: whether a damaged sample ends the build, instead of being left out and reported.
          threads: decoding threads.
          progress: told of every sample.

        Raises:
          ValueError: the source is missing, not as expected, or, if ``strict``, damaged; or it was
            prepared with other options of ``PREPARED_WITH``.
        """
        if self.is_prepared:
            self._check_prepared_with(self._metadata()["options"])
        source = Path(source or ".")
        if self.NEEDS_SOURCE and (not source.is_dir() or not any(source.iterdir())):
            raise ValueError(
                f"{self.name}: {source} is no directory with files in it. What it must hold:\n"
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        listing = self.listing(source)
        check_places(source, listing)
        if not listing.records:
            raise ValueError(f"{self.name}: {source} lists no sample.")
        place = Path(self.data_dir)
        for stopped in place.parent.glob("incomplete.*"):
            shutil.rmtree(stopped, ignore_errors=True)
        cache = place.with_name(f"{place.name}.encoded")
        self._job = BuildJob(
            listing, strict, threads, progress or (lambda done, count: None), cache
        )
        manual = tfds.download.DownloadConfig(manual_dir=source, verify_ssl=False)
        self.download_and_prepare(download_config=manual, file_format="array_record")
        shutil.rmtree(cache, ignore_errors=True)

    def _info(self) -> tfds.core.DatasetInfo:
        label: Any = tfds.features.ClassLabel(names=list(self.CLASS_NAMES))
        if self.MULTI_LABEL:
            label = tfds.features.Tensor(shape=(self.num_classes,), dtype=np.int32)
        features = {**self.stored_features(), _LABEL: label, _KEY: tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=str(self.__doc__),
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            metadata=tfds.core.MetadataDict(),
            # Rows keep the order of the listing, which the index relies on.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        job = self._job
        if job is None:
            raise ValueError(f"{self.name}: call prepare(source), which lists the files first.")
        metadata = self.info.metadata
        metadata["provenance"] = dict(job.listing.provenance)
        metadata["options"] = dataclasses.asdict(self.options)
        metadata["damaged"] = {}
        metadata["replaced"] = {}
        metadata["lacking"] = {}
        metadata["warnings"] = list(job.listing.warnings)
        metadata["constant"] = {}
        metadata["index"] = {}
        splits = sorted({record.split for record in job.listing.records})
        return {split: self._generate_examples(split, job) for split in splits}

    def _log_download_bytes(self) -> None:
        """Says nothing; TFDS would print of a download."""

    def _log_download_done(self) -> None:
        """Likewise."""

    def _generate_examples(self, split: str, job: BuildJob) -> Iterator[tuple[int, dict[str, Any]]]:
        table: dict[str, list[Any]] = {"keys": [], "labels": [], "groups": []}
        metadata = self.info.metadata
        damaged, replaced, lacking = (metadata[name] for name in ("damaged", "replaced", "lacking"))
        lost: dict[str, str] = {}
        metadata["index"][split] = table
        records = [record for record in job.listing.records if record.split == split]
        encode: Encode = EncodedCache(job.cache, self.encode) if self.CACHED else self.encode
        for record, read in encode_in_order(records, encode, job.threads):
            job.advance()
            found: Mapping[str, Any]
            if not isinstance(read, DamagedMedia):
                found = read
            else:
                if job.strict:
                    raise ValueError(f"{self.name}: {record.key}: {read}")
                lost[record.key] = str(read)
                if read.instead is None:
                    damaged[record.key] = str(read)
                    continue
                replaced[record.key] = str(read)
                lacking.setdefault(read.modality, []).append(record.key)
                found = read.instead
            for modality in self.lacks(found):
                lacking.setdefault(modality, []).append(record.key)
            # A stand-in is constant by itself, and named among what was replaced.
            for part in constant_parts(found) if found is read else ():
                metadata["constant"].setdefault(part, []).append(record.key)
            label = record.label
            table["keys"].append(record.key)
            table["groups"].append(record.group)
            table["labels"].append(label if isinstance(label, int) else list(label))
            values = np.array(label, np.int32) if self.MULTI_LABEL else label
            stored = {name: _as_tfds(value) for name, value in found.items()}
            yield len(table["keys"]) - 1, {**stored, _LABEL: values, _KEY: record.key}
        if not table["keys"]:
            first = next(iter(damaged.items()), ("", ""))
            raise ValueError(
                f"{self.name}: no sample of the split {split!r} could be read; the first,"
                f" {first[0]}: {first[1]}"
            )
        metadata["warnings"] += lost_modalities(
            self.name, split, sorted(self.modalities), table["keys"], lacking, lost
        )

    def _metadata(self) -> Mapping[str, Any]:
        path = Path(self.data_dir) / "metadata.json"
        if not self.is_prepared or not path.is_file():
            raise ValueError(f"{self.name}: nothing is prepared in {self.data_dir}.")
        try:
            metadata = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{self.name}: {path} is damaged: {error}") from error
        absent = {"provenance", "options", "damaged", "index"} - set(metadata)
        if absent:
            raise ValueError(f"{self.name}: {path} is damaged: it lacks {sorted(absent)}.")
        return metadata

    def _check_prepared_with(self, prepared: Mapping[str, Any]) -> None:
        for name in self.PREPARED_WITH:
            wanted = getattr(self.options, name)
            if prepared.get(name) != wanted:
                raise ValueError(
                    f"{self.name}: {self.data_dir} was prepared with {name}={prepared.get(name)},"
                    f" and {name}={wanted} is asked for; prepare it in another directory."
                )

    def index_digest(self) -> str:
        """sha256 (hex) of names, splits, labels and groups: which data these are."""
        return self.index.digest()


def _as_tfds(value: Any) -> Any:
    if isinstance(value, bytes):
        return io.BytesIO(value)
    if isinstance(value, list):
        return [io.BytesIO(item) for item in value]
    return value
