import csv
import datetime

import pytest

from masam_jax.data.builders.mimic.stays import read_stays
from masam_jax.data.builders.source import file_digest
from tests.data.builders.mimic_source import LABELS, MORTALITY, PHENOTYPES, make_source, make_stays

PATIENTS = 10


@pytest.fixture(scope="module", params=[PHENOTYPES, MORTALITY])
def read(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("source")
    make_source(place, task=request.param, patients=PATIENTS)
    extraction = place / "mimic-iv-extracted"
    stays, digests = read_stays(extraction, request.param, LABELS[request.param])
    return request.param, extraction, stays, digests


def test_all_listed_stays_by_split_and_name(read):
    task, extraction, stays, _ = read
    made = {stay.name: stay for stay in make_stays(PATIENTS)}
    names = {
        split: sorted(name for name, stay in made.items() if stay.split == split)
        for split in ("train", "validation", "test")
    }
    assert [stay.name for stay in stays] == [*names["train"], *names["validation"], *names["test"]]
    assert [len(found) for found in names.values()] == [12, 4, 4]
    for stay in stays:
        expected = made[stay.name]
        assert stay.split == expected.split
        assert stay.subject == expected.subject
        assert stay.labels == expected.labels[task]
        assert stay.begin == expected.begin
        assert stay.end - stay.begin == datetime.timedelta(hours=max(expected.period, 49))
        # The lists of the mortality task say 0, and mean 48.
        assert stay.period == (expected.period if task == PHENOTYPES else 48)
        folder = "test" if stay.split == "test" else "train"
        assert stay.series == extraction / task / folder / f"{stay.name}_timeseries.csv"
        assert stay.series.is_file()


def test_lists_are_named_with_their_digests(read):
    task, extraction, _, digests = read
    names = ["root/all_stays.csv"]
    names += [
        f"{task}/{n}" for n in ("val_listfile.csv", "train/listfile.csv", "test/listfile.csv")
    ]
    assert digests == {name: file_digest(extraction / name) for name in names}


def test_without_a_validation_list_its_stays_are_training(tmp_path):
    make_source(tmp_path, task=MORTALITY, patients=PATIENTS, validation=False)
    stays, digests = read_stays(tmp_path / "mimic-iv-extracted", MORTALITY, ("y_true",))
    assert [stay.split for stay in stays] == ["train"] * 16 + ["test"] * 4
    assert len(digests) == 3


@pytest.fixture
def extraction(tmp_path):
    """One that a test may break."""
    make_source(tmp_path, task=PHENOTYPES, patients=PATIENTS)
    return tmp_path / "mimic-iv-extracted"


def _change(path, line, **cells):
    """Other cells in a line of a CSV file; a list of them puts columns in their place."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[line - 2] |= cells
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


@pytest.mark.parametrize(
    "cells,why",
    [
        ({"stay": "p1.csv"}, r"stay is 'p1\.csv'; <subject>_episode<k>_timeseries\.csv is needed"),
        ({"stay_id": "30"}, r"stay and stay_id are of no stay of this patient in all_stays\.csv"),
        ({"stay_id": "30000000"}, "stay and stay_id are of no stay of this patient"),
        ({"stay_id": "x"}, "stay_id is 'x'; a number is needed"),
        ({"period_length": "-1"}, r"period_length is -1\.0; it must be >= 0"),
        ({"period_length": "inf"}, "period_length is 'inf'; a number is needed"),
        ({"Shock": "2"}, "Shock is '2'; 0 or 1 is needed"),
        ({"Shock": ""}, "Shock is ''; a number is needed"),
    ],
)
def test_a_bad_cell_of_a_list_is_named(extraction, cells, why):
    _change(extraction / PHENOTYPES / "train" / "listfile.csv", 4, **cells)
    with pytest.raises(ValueError, match=rf"train.listfile\.csv, line 4: {why}"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])


def test_a_bad_time_is_named_where_its_stay_is_listed(extraction):
    path = extraction / "root" / "all_stays.csv"
    # The last line is of a stay that no list has, and which was never discharged.
    assert path.read_text().splitlines()[-1].split(",")[5] == ""
    _change(path, 7, outtime="")
    with pytest.raises(ValueError, match=r"all_stays\.csv, line 7: outtime is ''; such as 2130"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])
    _change(path, 7, outtime="2130-01-01", stay_id="none")
    with pytest.raises(ValueError, match=r"all_stays\.csv, line 7: stay_id is 'none'; a number"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])


def test_columns_and_cells_that_lack_are_named(extraction):
    path = extraction / PHENOTYPES / "test" / "listfile.csv"
    text = path.read_text()
    with pytest.raises(ValueError, match=r"train.listfile\.csv, line 1: .* no column 'y_true'"):
        read_stays(extraction, PHENOTYPES, ("y_true",))
    path.write_text(text.rstrip()[:-2])
    with pytest.raises(ValueError, match=r"listfile\.csv, line 5: 28 cells are needed"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])
    path.write_bytes(b"\xff" + text.encode())
    with pytest.raises(ValueError, match=r"test.listfile\.csv: .*decode"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])


def test_files_that_lack_are_named(extraction):
    (extraction / PHENOTYPES / "test" / "listfile.csv").unlink()
    with pytest.raises(ValueError, match=r"test.listfile\.csv does not exist; .* list of"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])
    (extraction / "root" / "all_stays.csv").unlink()
    with pytest.raises(ValueError, match=r"all_stays\.csv does not exist; .* table of stays"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])


def test_validation_stays_that_are_not_in_train_are_named(extraction):
    with (extraction / PHENOTYPES / "val_listfile.csv").open("a") as file:
        file.write("19999999_episode1_timeseries.csv" + ",1" * 27 + "\n")
    with pytest.raises(ValueError, match=r"names 1 stays that .* such as 19999999_episode1"):
        read_stays(extraction, PHENOTYPES, LABELS[PHENOTYPES])
