"""What the two MIMIC data sets share: everything but the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

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
from masam_jax.data.builders.mimic.options import MimicOptions
from masam_jax.data.builders.mimic.pairing import METADATA, last_xray, read_xrays
from masam_jax.data.builders.mimic.stays import read_stays
from masam_jax.data.builders.mimic.variables import EHR_COLUMNS, VARIABLES
from masam_jax.data.builders.source import Listing, Record, file_digest, need
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, Modality, Normalization
from masam_jax.data.transforms import chest_xray
from masam_jax.data.transforms.image_augmentation import center_crop, resize_shorter

# Between the names of a stay and of its X-ray; only pairs have it.
_WITH = "+"
_EXTRACTION, _XRAYS = "mimic-iv-extracted", "mimic-cxr-jpg"
_GREY = Normalization("fixed", (sum(IMAGENET_MEAN) / 3,), (sum(IMAGENET_STD) / 3,))
"""ImageNet's statistics, averaged over the colours."""

_INSTRUCTIONS = """Two folders, or links to them:

  mimic-iv-extracted/                 what the benchmark extraction makes of MIMIC-IV
    root/all_stays.csv                subject_id, stay_id, intime, outtime, ...
    {task}/
      train/listfile.csv              stay, period_length, stay_id, {labels}
      train/10000032_episode1_timeseries.csv    Hours and 17 variables
      test/listfile.csv, test/10000084_episode1_timeseries.csv, ...
      val_listfile.csv                stays of train/listfile.csv; need not be there
  mimic-cxr-jpg/                      MIMIC-CXR-JPG 2.0.0 or 2.1.0, as it unpacks
    mimic-cxr-2.0.0-metadata.csv.gz   or unpacked, without .gz
    files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg

Apply for access to MIMIC-IV 1.0 and MIMIC-CXR-JPG at https://physionet.org. The extraction is that
of MedFuse (https://github.com/nyuad-cai/MedFuse, folder mimic4extract), which calls this folder
data: extract_subjects_iv, validate_events, extract_episodes_from_subjects, split_train_and_test,
create_{script} and, for val_listfile.csv, split_train_val.
Of MIMIC-CXR-JPG, only the images of listed stays are read, a few thousand of 377,110."""


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
    three are train; so paired and partial settings have the same folds. ``split="extraction"``: the
    extraction's own lists; where there is no ``val_listfile.csv``, whole patients with a tenth of
    the training stays are held out.

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

    ``cxr``, in order:

    1. The JPEG as grey values, the shorter side made 256 (bilinear, averaging), stored as PNG.
    2. Training: rotated by -45° to 45°, scaled by .85 to 1.15, shifted by up to .15 of each side,
       all uniform, in one bilinear interpolation, zeros beyond the edges; then the middle 224 ×
       224. Test: the middle 224 × 224. For another ``image_size`` all lengths are in proportion.
    3. Three channels, all alike, with ImageNet's means and standard deviations; with
       ``channels=1`` one channel with their averages.

    What the MASAM paper does not state, and what was chosen: which of a stay's X-rays (the last AP
    one, as MedFuse and DrFuse have it), which 24 columns, flags beside the values, the limit
    (DrFuse's), the validation fold. MedFuse and DrFuse also exchange left and right at random in
    training; the paper does not list it, and it is not done here.
    """

    TASK: ClassVar[str]
    """Folder of the extraction's lists."""
    LABEL_COLUMNS: ClassVar[tuple[str, ...]]
    """Columns of the lists, in the order of the labels."""

    VERSION = tfds.core.Version("1.0.0")
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
    PREPARED_WITH = ("view", "xray_hours")

    options: MimicOptions

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Adds these steps to a task's documentation, which is shown to people."""
        super().__init_subclass__(**kwargs)
        cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}\n\n    {str(MimicBuilder.__doc__).lstrip()}"

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``cxr``, pixels, and ``ehr`` [48, 48], hours, with a mask."""
        size, channels = self.options.image_size, self.options.channels
        scale = _GREY if channels == 1 else IMAGENET
        series = (HOURS, 2 * len(EHR_COLUMNS))
        return {
            "cxr": Modality("image", (size, size, channels), np.uint8, scale),
            "ehr": Modality("sequence", series, normalization=Normalization("none")),
        }

    @property
    def has_missing(self) -> bool:
        """Whether stays without an X-ray are samples."""
        return self.options.pairs == "partial"

    def stored_features(self) -> dict[str, Any]:
        """Hourly values of the variables, NaN where there are none; hours; one X-ray or none."""
        image = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
        return {
            "hourly": tfds.features.Tensor(shape=(HOURS, len(VARIABLES)), dtype=np.float32),
            "hours": tfds.features.Scalar(dtype=np.int32),
            "cxr": tfds.features.Sequence(image),
        }

    def listing(self, source: Path) -> Listing:
        """All listed stays, by split of the extraction, then by name."""
        extraction = need(source / _EXTRACTION, "the folder of the benchmark extraction")
        release = need(source / _XRAYS, "the folder of MIMIC-CXR-JPG")
        stays, digests = read_stays(extraction, self.TASK, self.LABEL_COLUMNS)
        tables = [release / name for name in METADATA if (release / name).is_file()]
        metadata = tables[0] if tables else need(release / METADATA[-1], "the table of X-rays")
        xrays = read_xrays(metadata, self.options.view, {stay.subject for stay in stays})
        records = []
        for stay in stays:
            xray = last_xray(stay, xrays.get(stay.subject, ()), self.options.xray_hours)
            facts = {
                "series": stay.series,
                "period": stay.period,
                "cxr": None if xray is None else xray.path(release),
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
        times, values = read_series(facts["series"], VARIABLES)
        found = () if facts["cxr"] is None else (chest_xray.read_xray(facts["cxr"]),)
        return {
            "hourly": hourly_values(times, values, facts["period"]),
            "hours": hours_of(facts["period"]),
            "cxr": [chest_xray.png_bytes(pixels) for pixels in found],
        }

    def fit(self, examples: Callable[[], Iterator[Mapping[str, Any]]]) -> Any:
        """Median and interquartile range of every column over the training samples.

        Returns:
          ``{"median": float32 [24], "iqr": float32 [24]}``.
        """
        return column_statistics((example["hourly"] for example in examples()), EHR_COLUMNS)

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
            "ehr": network_sequence(example["hourly"], hours, EHR_COLUMNS, self.fitted, limit)
        }
        for stored in example["cxr"]:
            sample["cxr"] = self._image(np.asarray(stored)[..., 0], draws)
        return sample

    def parts(self, index: Index, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Parts and patients, by the options ``split``, ``fold`` and ``pairs``."""
        names = index.splits
        if self.options.split == "folds":
            names = fold_splits(index.groups, self.options.fold, split_seed)
        if self.options.pairs == "paired":
            names = np.where([_WITH in key for key in index.keys], names, "none")
        return names, index.groups

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


def instructions(task: str, labels: str) -> str:
    """What the source directory must hold.

    Args:
      task: the folder of the extraction's lists.
      labels: their columns of labels, in words.
    """
    script = task.replace("-", "_")
    return _INSTRUCTIONS.format(task=task, labels=labels, script=script)
