"""What the two MIMIC data sets share: everything but the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.index import Index
from masam_jax.data.builders.mimic.ehr_series import (
    HOURS,
    column_statistics,
    hourly_values,
    hours_of,
    network_sequence,
    read_series,
)
from masam_jax.data.builders.mimic.folds import fold_splits
from masam_jax.data.builders.mimic.given_folds import (
    find_given_folds,
    read_given_folds,
    read_given_series,
)
from masam_jax.data.builders.mimic.options import MimicOptions
from masam_jax.data.builders.mimic.pairing import METADATA, Xray, last_xray, read_xrays
from masam_jax.data.builders.mimic.stays import read_stays
from masam_jax.data.builders.mimic.variables import EHR_COLUMNS, VARIABLES
from masam_jax.data.builders.mimic.xray_files import RELEASE, find_metadata, xray_file
from masam_jax.data.builders.source import UNDIVIDED, Listing, Record, file_digest, need
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, Modality, Normalization
from masam_jax.data.transforms import chest_xray
from masam_jax.data.transforms.image_augmentation import center_crop, resize_shorter

# Between the names of a stay and of its X-ray; only pairs have it.
_WITH = "+"
_EXTRACTION = "mimic-iv-extracted"
_GREY = Normalization("fixed", (sum(IMAGENET_MEAN) / 3,), (sum(IMAGENET_STD) / 3,))
"""ImageNet's statistics, averaged over the colours."""

_INSTRUCTIONS = """Two folders, or links to them:

  mimic-iv-extracted/                 what the benchmark extraction makes of MIMIC-IV
    root/all_stays.csv                subject_id, stay_id, intime, outtime, {outcome}...
    {task}/
      train/listfile.csv              stay, period_length, stay_id, {labels}
      train/10000032_episode1_timeseries.csv    Hours and 17 variables
      test/listfile.csv, test/10000084_episode1_timeseries.csv, ...
      val_listfile.csv                stays of train/listfile.csv; need not be there
  mimic-cxr-jpg/                      MIMIC-CXR-JPG 2.0.0 or 2.1.0, as it unpacks
    mimic-cxr-2.0.0-metadata.csv.gz   or unpacked, without .gz
    files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg

The latter may have a folder for its version, mimic-cxr-jpg/2.0.0/, and images resized into one
folder, resized/<dicom_id>.jpg, in the place of files/.

Or, in the place of the extraction, the layout of the authors' release, in any folder:

    splits/fold1/stays_train.csv      stay_id, subject_id, valid_cxrs, labels, ...; stays_val.csv
                                      and stays_test.csv too, and fold2 to fold5
    splits/fold1/train_stats.yaml     names the features; need not be there
    time_series/<stay_id>.csv         time_step and the features

Apply for access to MIMIC-IV 1.0 and MIMIC-CXR-JPG at https://physionet.org. The extraction is that
of MedFuse (https://github.com/nyuad-cai/MedFuse, folder mimic4extract), which calls this folder
data: extract_subjects_iv, validate_events, extract_episodes_from_subjects, split_train_and_test,
create_{script} and, for val_listfile.csv, split_train_val.
Of MIMIC-CXR-JPG, only the images of listed stays are read, a few thousand of 377,110."""


class LabelColumns(NamedTuple):
    """Where labels are.

    Attributes:
      columns: K columns of the extraction.
      of_stays: whether they are in the table of stays, not in the task's lists.
      given: columns of the lists with folds of their own.
      without: what to do where a column is missing.
    """

    columns: tuple[str, ...]
    of_stays: bool
    given: tuple[str, ...]
    without: str = ""


class MimicBuilder(PublishedBuilder):
    """MIMIC-IV with MIMIC-CXR, an ICU stay a sample.

    Samples:

    1. Stays are those of the task's lists (``listfile.csv``) of the benchmark extraction.
    2. A stay's X-ray is the last AP one taken from admission to the ICU on until 48 hours later,
       both ends included, by ``StudyDate`` and ``StudyTime`` of MIMIC-CXR's metadata; of two images
       of one second, the one with the larger name. Other views, ``view``, and other times,
       ``xray_hours``.
    3. ``pairs="paired"``: stays with an X-ray. ``pairs="partial"``: all stays, of which those
       without an X-ray lack that modality.
    4. A stay whose time series or X-ray is missing or damaged is left out and reported.

    Splits: five folds of patients, those of all listed stays, sorted by name and dealt in turn in
    an order drawn with the split seed. Fold f is test, the next one (after 4 comes 0) validation,
    three are train; so paired and partial settings have the same folds. Where the source has folds
    of its own (``splits/fold1`` to ``fold5``), ``fold`` 0 to 4 are these. ``split="extraction"``:
    the extraction's own lists; where there is no ``val_listfile.csv``, whole patients with a tenth
    of the training stays are held out.

    ``ehr``, in order:

    1. The first 48 hours, or as many as the stay has (an hour that has begun counts), of 17
       variables. Hour b holds what was measured in ``(b, b + 1]``, the last value if several.
    2. 24 columns: all variables as numbers, but eye opening and verbal response of the Glasgow coma
       scale as one 0/1 column a level (4 and 5). Words of the scale become its points; an
       intubated patient's verbal response is 1.
    3. Hours without a value get the last one so far; before the first one, the column's median.
    4. ``(x - median) / (third - first quartile)``, of all values measured in the training samples,
       before filling; a column whose quartiles are equal is divided by 1, and one that was never
       measured has the median 0.
    5. Scaled values beyond 10 (``limit``) become 0: the tables hold values such as 9999999.
    6. 24 flags follow, 1 where the column was measured in that hour: ``[48, 48]``. Zeros follow
       after the stay's last hour, and the mask is True before.

    Of ``time_series/<stay>.csv``, all features are columns as they are, an hour a row; 3 to 6
    follow, and all 48 hours count. ``valid_cxrs`` names the X-rays, of which the last one is taken.

    ``cxr``, in order:

    1. The JPEG as grey values, the shorter side made 256 (bilinear, averaging), stored as PNG.
    2. Training: rotated by -45° to 45°, scaled by .85 to 1.15, shifted by up to .15 of each side,
       all uniform, in one bilinear interpolation, zeros beyond the edges; then the middle 224 ×
       224. Test: the middle 224 × 224. For another ``image_size`` all lengths are in proportion.
    3. Three channels, all alike, with ImageNet's means and standard deviations; with
       ``channels=1`` one channel with their averages.

    Values and flags, the turns of X-rays and their last one are those of the authors' release too.
    Where this differs from it, and why: the limit (DrFuse's; without one, values such as 9999999
    rule), quartiles of the training samples rather than those of a file, flags that are 1 where
    there is a value. Which 24 columns is stated nowhere.
    """

    TASK: ClassVar[str]
    """Folder of the extraction's lists."""
    LABEL_COLUMNS: ClassVar[tuple[str, ...]]
    """Columns of the lists, in the order of the labels."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar[Mapping[str, str]] = {
        "1.1.0": "Other layouts; which stays lack an X-ray is written down.",
    }
    MULTI_LABEL = True
    METRIC = "auprc"
    HOMEPAGE = "https://physionet.org/content/mimiciv"
    CITATION = """@article{johnson2023mimiciv,
  author = {Johnson, A. E. W. and Bulgarelli, L. and Shen, L. and others},
  title = {{MIMIC-IV}, a freely accessible electronic health record dataset},
  journal = {Scientific Data},
  volume = {10},
  number = {1},
  year = {2023}
}
@article{johnson2019mimiccxr,
  author = {Johnson, A. E. W. and Pollard, T. J. and Berkowitz, S. J. and others},
  title = {{MIMIC-CXR}, a de-identified publicly available database of chest radiographs with
           free-text reports},
  journal = {Scientific Data},
  volume = {6},
  number = {1},
  year = {2019}
}"""
    OPTIONS = MimicOptions
    CACHED = True
    PREPARED_WITH: ClassVar[tuple[str, ...]] = ("view", "xray_hours")

    options: MimicOptions
    _columns: tuple[str, ...] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Adds these steps to a task's documentation, which is shown to people."""
        super().__init_subclass__(**kwargs)
        cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}\n\n    {str(MimicBuilder.__doc__).lstrip()}"

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``cxr``, pixels, and ``ehr`` [48, 48], hours, with a mask."""
        size, channels = self.options.image_size, self.options.channels
        scale = _GREY if channels == 1 else IMAGENET
        series = (HOURS, 2 * len(self.columns))
        return {
            "cxr": Modality("image", (size, size, channels), np.uint8, scale),
            "ehr": Modality("sequence", series, normalization=Normalization("none")),
        }

    @property
    def has_missing(self) -> bool:
        """Whether stays without an X-ray are samples."""
        return self.options.pairs == "partial"

    def stored_features(self) -> dict[str, Any]:
        """Hourly values, NaN where there are none; hours; one X-ray or none."""
        image = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
        return {
            "hourly": tfds.features.Tensor(shape=(HOURS, len(VARIABLES)), dtype=np.float32),
            # Of the layout with folds of its own, whose features are not known here.
            "given": tfds.features.Tensor(shape=(None, HOURS), dtype=np.float32),
            "hours": tfds.features.Scalar(dtype=np.int32),
            "cxr": tfds.features.Sequence(image),
        }

    def listing(self, source: Path) -> Listing:
        """All listed stays, by split of the extraction, then by name."""
        root = find_given_folds(source)
        if root is not None:
            return self._given_listing(source, root)
        extraction = need(source / _EXTRACTION, "the folder of the benchmark extraction")
        release = need(source / RELEASE, "the folder of MIMIC-CXR-JPG")
        labels = self.labels
        stays, digests = read_stays(
            extraction,
            self.TASK,
            labels.columns,
            of_stays=labels.of_stays,
            without=labels.without,
        )
        metadata = find_metadata(source) or need(release / METADATA[-1], "the table of X-rays")
        xrays = read_xrays(metadata, self.options.view, {stay.subject for stay in stays})
        records = []
        for stay in stays:
            xray = last_xray(stay, xrays.get(stay.subject, ()), self.options.xray_hours)
            facts = {
                "series": stay.series,
                "period": stay.period,
                "cxr": None if xray is None else xray_file(xray.dicom, xray, source),
            }
            key = stay.name if xray is None else f"{stay.name}{_WITH}{xray.dicom}"
            records.append(Record(key, stay.split, stay.labels, facts, stay.subject))
        hours = self.options.xray_hours
        until = "discharge" if hours is None else f"{hours} hours after admission"
        rule = (
            f"{len(stays)} stays of the lists, of which"
            f" {sum(_WITH in record.key for record in records)} have an X-ray: the last one with"
            f" view {self.options.view} until {until}"
        )
        digests[metadata.name] = file_digest(metadata)
        return Listing(tuple(records), {"rule": rule, **digests})

    def encode(self, record: Record) -> dict[str, Any]:
        """Hourly values, and the X-ray as PNG."""
        facts = record.source
        hourly = np.full((HOURS, len(VARIABLES)), np.nan, np.float32)
        given = np.zeros((0, HOURS), np.float32)
        if "features" in facts:
            given = np.ascontiguousarray(read_given_series(facts["series"], facts["features"]).T)
        else:
            times, values = read_series(facts["series"], VARIABLES)
            hourly = hourly_values(times, values, facts["period"])
        found = () if facts["cxr"] is None else (chest_xray.read_xray(facts["cxr"]),)
        return {
            "hourly": hourly,
            "given": given,
            "hours": hours_of(facts["period"]),
            "cxr": [chest_xray.png_bytes(pixels) for pixels in found],
        }

    def fit(self, examples: Callable[[], Iterator[Mapping[str, Any]]]) -> Any:
        """Median and interquartile range of every column over the training samples.

        Returns:
          ``{"median": float32 [C], "iqr": float32 [C]}``.
        """
        return column_statistics((_hourly(example) for example in examples()), self.columns)

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """The stay's hours and, if there is one, its X-ray, augmented if there are draws.

        Raises:
          ValueError: ``fitted`` was not set to what `fit` returns.
        """
        if self.fitted is None:
            raise ValueError(
                f"{self.name}: `fitted` is None; values are scaled by the training samples' medians"
                " and quartiles, which fit(...) returns."
            )
        hours, limit = int(example["hours"]), self.options.limit
        sample: dict[str, Any] = {
            "ehr": network_sequence(_hourly(example), hours, self.columns, self.fitted, limit)
        }
        for stored in example["cxr"]:
            sample["cxr"] = self._image(np.asarray(stored)[..., 0], draws)
        return sample

    def parts(self, index: Index, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Parts and patients, by the options ``split``, ``fold`` and ``pairs``."""
        names = index.splits
        given = self._metadata().get("folds", {})
        if given and self.options.split == "extraction":
            raise ValueError(
                f"{self.name}: the data were prepared from folds of their own; split=folds has"
                " them, 0 to 4."
            )
        if given:
            names = np.array([given[key][self.options.fold] for key in index.keys])
        elif self.options.split == "folds":
            names = fold_splits(index.groups, self.options.fold, split_seed)
        if self.options.pairs == "paired":
            names = np.where([_WITH in key for key in index.keys], names, "none")
        return names, index.groups

    @property
    def labels(self) -> LabelColumns:
        """Where the labels are."""
        return LabelColumns(self.LABEL_COLUMNS, of_stays=False, given=self.LABEL_COLUMNS)

    @property
    def columns(self) -> tuple[str, ...]:
        """The C columns of ``ehr``: of the prepared data, or those of the extraction."""
        # Read once: every sample that is decoded asks.
        if self._columns is None and self.is_prepared:
            self._columns = tuple(self._metadata().get("features", ())) or EHR_COLUMNS
        return self._columns or EHR_COLUMNS

    def lacks(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """``cxr``, without an X-ray."""
        return () if len(found["cxr"]) else ("cxr",)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        generators = super()._split_generators(dl_manager)
        records = self._job.listing.records if self._job else ()
        parts = {record.key: record.source.get("parts") for record in records}
        # JSON has lists, not tuples.
        self.info.metadata["folds"] = {key: list(p) for key, p in parts.items() if p}
        features = next((record.source.get("features") for record in records), None)
        self.info.metadata["features"] = list(features or ())
        return generators

    def _given_listing(self, source: Path, root: Path) -> Listing:
        """Stays of lists with folds of their own, by name."""
        folds = read_given_folds(root, self.labels.given, self.labels.without)
        metadata = find_metadata(source, root)
        known: dict[str, Xray] = {}
        if metadata is not None:
            subjects = {stay.subject for stay in folds.stays}
            known = {
                xray.dicom: xray
                for found in read_xrays(metadata, "any", subjects).values()
                for xray in found
            }
        records = []
        for stay in folds.stays:
            cxr = xray_file(stay.dicom, known.get(stay.dicom), source, root) if stay.dicom else None
            facts = {
                "series": folds.series(stay),
                "features": folds.features,
                "parts": stay.parts,
                "period": float(HOURS),
                "cxr": cxr,
            }
            key = f"{stay.stay_id}{_WITH}{stay.dicom}" if stay.dicom else stay.stay_id
            records.append(Record(key, UNDIVIDED, stay.labels, facts, stay.subject))
        paired = sum(bool(stay.dicom) for stay in folds.stays)
        rule = (
            f"{len(records)} stays of the source's own five folds, {paired} with an X-ray,"
            f" {len(folds.features)} features"
        )
        digests = dict(folds.digests)
        if metadata is not None:
            digests[metadata.name] = file_digest(metadata)
        return Listing(tuple(records), {"rule": rule, **digests})

    def _image(self, pixels: np.ndarray, draws: Draws | None) -> np.ndarray:
        """The middle of an X-ray, uint8 ``[size, size, channels]``."""
        size = self.options.image_size
        pixels = resize_shorter(pixels, round(size * chest_xray.STORED_SIZE / 224))
        if draws is None:
            middle = center_crop(pixels, size)
        else:
            height, width = pixels.shape
            affine = chest_xray.draw_affine(height, width, draws)
            middle = chest_xray.affine_crop(pixels, affine, size)
        return np.repeat(middle[..., np.newaxis], self.options.channels, axis=-1)


def _hourly(example: Mapping[str, Any]) -> np.ndarray:
    """Values ``[48, V]`` of a stored sample."""
    given = np.asarray(example["given"])
    return given.T if len(given) else np.asarray(example["hourly"])


def instructions(task: str, labels: str, outcome: str = "") -> str:
    """What the source directory must hold.

    Args:
      task: the folder of the extraction's lists.
      labels: their columns of labels, in words.
      outcome: columns of the table of stays that are labels, in words.
    """
    script = task.replace("-", "_")
    return _INSTRUCTIONS.format(task=task, labels=labels, script=script, outcome=outcome)
