"""A tiny MIMIC-IV, as the benchmark extraction leaves it, and MIMIC-CXR-JPG, as it unpacks."""

import csv
import datetime
import gzip
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from masam_jax.data.builders.mimic_phenotype import MimicPhenotype

MORTALITY, PHENOTYPES = "in-hospital-mortality", "phenotyping"
LABELS = {MORTALITY: ("y_true",), PHENOTYPES: MimicPhenotype.LABEL_COLUMNS}

EYES = {1: ("1 No Response", "None"), 2: ("2 To pain", "To Pain"), 3: ("3 To speech", "To Speech")}
EYES |= {4: ("4 Spontaneously", "Spontaneously")}
MOTOR = {1: ("No response",), 4: ("4 Flex-withdraws", "Flex-withdraws"), 6: ("6 Obeys Commands",)}
VERBAL = {1: ("No Response-ETT", "1.0 ET/Trach"), 4: ("Confused",), 5: ("5 Oriented", "Oriented")}
NUMBERS = {
    "Capillary refill rate": (0.0, 1.0),
    "Diastolic blood pressure": (50.0, 70.0),
    "Fraction inspired oxygen": (0.21, 0.8),
    "Glascow coma scale total": (3.0, 15.0),
    "Glucose": (90.0, 200.0),
    "Heart Rate": (60.0, 90.0),
    "Height": (170.0, 170.0),
    "Mean blood pressure": (70.0, 90.0),
    "Oxygen saturation": (90.0, 100.0),
    "Respiratory rate": (12.0, 25.0),
    "Systolic blood pressure": (100.0, 140.0),
    "Temperature": (36.0, 38.0),
    "Weight": (60.0, 90.0),
    "pH": (7.3, 7.5),
}
WORDS = {"eye opening": EYES, "motor response": MOTOR, "verbal response": VERBAL}
HEADER = sorted([*NUMBERS, *(f"Glascow coma scale {part}" for part in WORDS)])
# Hours of measurements; some of an hour's are its first or last moment.
TIMES = (0.0, 0.5, 1.0, 1.0001, 1.75, 7.9, 20.0, 20.1, 30.25, 40.0, 47.999, 48.0, 55.5)
OUTLIER = "9999999.0"


class Image(NamedTuple):
    """An X-ray: when, in hours after admission, which view, and its names."""

    hours: float
    view: str
    dicom: str
    study: str


class MadeStay(NamedTuple):
    """A stay, as the tests know it."""

    name: str
    subject: str
    stay_id: int
    begin: datetime.datetime
    period: float
    labels: dict[str, tuple[int, ...]]
    images: tuple[Image, ...]
    split: str


def make_stays(patients: int = 32) -> list[MadeStay]:
    """Two stays of each patient; labels of the second are the first one's, exchanged.

    Every fourth patient has no X-ray that counts. Of ten patients, the last two are the
    extraction's test patients and the two before them its validation patients.
    """
    stays = []
    for patient in range(patients):
        subject = str(10000032 + 390007 * patient)
        split = {8: "test", 9: "test", 6: "validation", 7: "validation"}.get(patient % 10, "train")
        for episode in (1, 2):
            begin = datetime.datetime(2130 + patient, 2, 28, 20, 30, 15)
            begin += datetime.timedelta(days=90 * (episode - 1), hours=patient)
            exchanged = episode - 1
            first = [(patient * (2 * k + 1) + k) // 2 % 2 for k in range(25)]
            labels = {
                MORTALITY: ((patient + exchanged) % 2,),
                PHENOTYPES: tuple(value ^ exchanged for value in first),
            }
            offsets = [(-1.0, "AP"), (30.0, "LATERAL")]
            if patient % 4 != 3:
                offsets += [(40.5, "AP"), (5.25, "AP"), (41.0, "PA"), (60.0, "AP")]
            images = tuple(
                Image(hours, view, _name(f"{subject}/{episode}/{hours}"), f"{50000000 + number}")
                for number, (hours, view) in enumerate(offsets, start=10 * len(stays))
            )
            name = f"{subject}_episode{episode}"
            period = 30.5 + 10 * (patient % 8)
            stays.append(
                MadeStay(name, subject, 30000000 + len(stays), begin, period, labels, images, split)
            )
    return stays


def make_rows(stay: MadeStay) -> list[dict[str, str]]:
    """A stay's time series, as the extraction writes it: about half of the cells are empty.

    Heart rate and glucose are higher with the first phenotype, and with death.
    """
    random = np.random.default_rng(stay.stay_id)
    rows = []
    raised = 40.0 * stay.labels[PHENOTYPES][0], 100.0 * stay.labels[MORTALITY][0]
    for time in (time for time in TIMES if time <= stay.period):
        row = {"Hours": str(time)}
        for name, (low, high) in NUMBERS.items():
            added = {"Heart Rate": raised[0], "Glucose": raised[1]}.get(name, 0.0)
            value = round(float(random.uniform(low, high)), 2) + added
            if name in ("Capillary refill rate", "Glascow coma scale total"):
                value = float(round(value))
            row[name] = str(value) if random.random() < 0.5 else ""
        for part, levels in WORDS.items():
            words = [word for found in levels.values() for word in found]
            word = words[int(random.integers(len(words)))]
            row[f"Glascow coma scale {part}"] = word if random.random() < 0.5 else ""
        rows.append(row)
    rows[2]["Temperature"] = OUTLIER
    return rows


def make_pixels(stay: MadeStay, number: int) -> np.ndarray:
    """An X-ray of the stay, uint8 ``[H, W]``, brighter with the first label of each task."""
    height, width = ((60, 72), (80, 64))[number % 2]
    picture = np.linspace(20, 90, height)[:, None] + np.linspace(0, 60, width)
    return (picture + 45 * stay.labels[PHENOTYPES][0] + 45 * stay.labels[MORTALITY][0]).astype(
        np.uint8
    )


def image_path(directory: Path, stay: MadeStay, image: Image) -> Path:
    """Where an X-ray lies in a source directory."""
    folder = Path("files") / f"p{stay.subject[:2]}" / f"p{stay.subject}" / f"s{image.study}"
    return directory / "mimic-cxr-jpg" / folder / f"{image.dicom}.jpg"


def series_path(directory: Path, stay: MadeStay, task: str) -> Path:
    """Where a time series lies in a source directory."""
    folder = "test" if stay.split == "test" else "train"
    return directory / "mimic-iv-extracted" / task / folder / f"{stay.name}_timeseries.csv"


def make_source(
    directory: Path,
    *,
    task: str = PHENOTYPES,
    patients: int = 32,
    validation: bool = True,
    packed: bool = True,
) -> None:
    """``mimic-iv-extracted/`` and ``mimic-cxr-jpg/``.

    Args:
      directory: where.
      task: the lists' folder.
      patients: how many.
      validation: whether there is a list of validation stays.
      packed: whether the table of X-rays is gzipped.
    """
    from PIL import Image as Pillow

    stays = make_stays(patients)
    for stay in stays:
        path = series_path(directory, stay, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = make_rows(stay)
        # The mortality task's time series end after 48 hours.
        kept = [row for row in rows if task == PHENOTYPES or float(row["Hours"]) <= 48]
        _write(path, ["Hours", *HEADER], kept)
        for number, image in enumerate(stay.images):
            path = image_path(directory, stay, image)
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(make_pixels(stay, number)).save(path, "JPEG", quality=95)
    _write_lists(directory / "mimic-iv-extracted" / task, task, stays, validation)
    _write_times(directory / "mimic-iv-extracted" / "root" / "all_stays.csv", stays)
    _write_metadata(directory / "mimic-cxr-jpg", stays, packed)


def _write_lists(folder: Path, task: str, stays: list[MadeStay], validation: bool) -> None:
    columns = ["stay", "period_length", "stay_id", *LABELS[task]]
    lists: dict[str, list[dict[str, object]]] = {"train": [], "test": [], "validation": []}
    # As in the extraction, training stays are in no order.
    for stay in stays[::-1]:
        period = f"{stay.period:.6f}" if task == PHENOTYPES else "0"
        row = {"stay": f"{stay.name}_timeseries.csv", "period_length": period}
        row |= {"stay_id": str(stay.stay_id)}
        row |= {n: str(v) for n, v in zip(LABELS[task], stay.labels[task], strict=True)}
        lists["test" if stay.split == "test" else "train"].append(row)
        if stay.split == "validation":
            lists["validation"].append(row)
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        _write(folder / part / "listfile.csv", columns, lists[part])
    if validation:
        _write(folder / "val_listfile.csv", columns, lists["validation"])


def _write_times(path: Path, stays: list[MadeStay]) -> None:
    """The table of stays, with one that is in no list and was never discharged."""
    columns = ["subject_id", "hadm_id", "stay_id", "last_careunit", "intime", "outtime", "los"]
    columns += ["mortality_inunit"]
    rows = [
        {
            "subject_id": stay.subject,
            "hadm_id": "2" + stay.subject[1:],
            "stay_id": str(stay.stay_id),
            "last_careunit": "Medical Intensive Care Unit (MICU)",
            "intime": str(stay.begin),
            "outtime": str(stay.begin + datetime.timedelta(hours=max(stay.period, 49.0))),
            "los": "",
            "mortality_inunit": str(stay.labels[MORTALITY][0]),
        }
        for stay in stays
    ]
    rows.append(rows[0] | {"stay_id": "39999999", "outtime": ""})
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, columns, rows)


def _write_metadata(folder: Path, stays: list[MadeStay], packed: bool) -> None:
    """The table of X-rays, with one of a patient who was never in intensive care."""
    columns = ["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription"]
    columns += ["ViewPosition", "Rows", "Columns", "StudyDate", "StudyTime"]
    rows = []
    for stay in stays:
        for image in stay.images:
            taken = stay.begin + datetime.timedelta(hours=image.hours)
            seconds = taken.hour * 10000 + taken.minute * 100 + taken.second
            rows.append(
                {
                    "dicom_id": image.dicom,
                    "subject_id": stay.subject,
                    "study_id": image.study,
                    "PerformedProcedureStepDescription": "CHEST (PORTABLE AP), one view",
                    "ViewPosition": image.view,
                    "Rows": "3056",
                    "Columns": "2544",
                    "StudyDate": f"{taken:%Y%m%d}",
                    # Leading zeros are lost in the release.
                    "StudyTime": f"{seconds}.531",
                }
            )
    rows.append(rows[0] | {"dicom_id": _name("nobody"), "subject_id": "19999999"})
    name = folder / ("mimic-cxr-2.0.0-metadata.csv" + (".gz" if packed else ""))
    _write(name, columns, rows)


def _write(path: Path, columns: list[str], rows: list[dict[str, object]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _name(text: str) -> str:
    """A name as the release gives images: five words of eight hexadecimal digits."""
    digits = hashlib.sha256(text.encode()).hexdigest()
    return "-".join(digits[8 * i : 8 * i + 8] for i in range(5))


FEATURES = ("vitalsign_hr", "lab_ph", "gcs_eyes")
_PARTS = ("test", "val", "train", "train", "train")


def given_part(stay: MadeStay, fold: int) -> str:
    """Which list of a fold, 0 to 4, names a stay."""
    return _PARTS[((int(stay.subject) - 10000032) // 390007 + fold) % 5]


def given_values(stay: MadeStay) -> np.ndarray:
    """A stay's features, float64 ``[50, 3]``, NaN where there is no value."""
    random = np.random.default_rng(stay.stay_id)
    values = random.normal((80, 7.4, 3), (10, 0.1, 1), (50, 3)).round(3)
    values[random.random((50, 3)) < 0.4] = np.nan
    values[0, 0] = 80.0 + 40 * stay.labels[MORTALITY][0]
    return values


def make_given_source(directory: Path, *, patients: int = 20) -> None:
    """``splits/fold1`` to ``fold5``, ``time_series/`` and ``mimic_cxr_resized/<dicom>.jpg``."""
    from PIL import Image as Pillow

    stays = make_stays(patients)
    (directory / "time_series").mkdir(parents=True)
    (directory / "mimic_cxr_resized").mkdir()
    rows = {}
    for stay in stays:
        masks = [f"{name}_mask" for name in FEATURES]
        table = [
            {"time_step": str(hour), "stay_id": str(stay.stay_id)}
            | {n: "" if np.isnan(v) else str(v) for n, v in zip(FEATURES, values, strict=True)}
            | {n: str(int(np.isnan(v))) for n, v in zip(masks, values, strict=True)}
            for hour, values in enumerate(given_values(stay))
        ]
        columns = ["time_step", "stay_id", *FEATURES, *masks]
        _write(directory / "time_series" / f"{stay.stay_id}.csv", columns, table)
        # The last two that are AP, in time, with some days' distance in how they are written.
        images = sorted(image for image in stay.images if image.view == "AP")[:2]
        if len(stay.images) == 2:
            images = []
        for number, image in enumerate(images):
            picture = Pillow.fromarray(make_pixels(stay, number))
            picture.save(directory / "mimic_cxr_resized" / f"{image.dicom}.jpg", "JPEG")
        pairs = ", ".join(
            f"('{image.dicom}', Timestamp('2130-01-0{n + 1} 10:00:00'))"
            for n, image in enumerate(images)
        )
        rows[stay.stay_id] = {
            "stay_id": str(stay.stay_id),
            "subject_id": stay.subject,
            "valid_cxrs": f"[{pairs}]",
            "icu_mortality": str(stay.labels[MORTALITY][0]),
            **dict(zip(LABELS[PHENOTYPES], map(str, stay.labels[PHENOTYPES]), strict=True)),
        }
    for fold in range(5):
        folder = directory / "splits" / f"fold{fold + 1}"
        folder.mkdir(parents=True)
        for part in ("train", "val", "test"):
            listed = [rows[s.stay_id] for s in stays if given_part(s, fold) == part]
            _write(folder / f"stays_{part}.csv", list(listed[0]), listed)
        text = "".join(f"{name}:\n  iqr: 1.0\n  median: 0.0\n" for name in FEATURES)
        (folder / "train_stats.yaml").write_text(text)
