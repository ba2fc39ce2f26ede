"""MIMIC in the layout of the authors' release: folds of its own, hourly time series."""

import numpy as np
import pytest

from masam_jax.data.builders.mimic.given_folds import read_given_folds
from masam_jax.data.builders.mimic_mortality import MimicMortality
from masam_jax.data.builders.mimic_phenotype import MimicPhenotype
from masam_jax.data.builders.source import UNDIVIDED
from masam_jax.data.modality import check_sample
from tests.data.builders.mimic_source import (
    FEATURES,
    LABELS,
    MORTALITY,
    PHENOTYPES,
    given_part,
    given_values,
    make_given_source,
    make_stays,
)

KINDS = {MORTALITY: MimicMortality, PHENOTYPES: MimicPhenotype}
PARTS = {"train": "train", "val": "validation", "test": "test"}


@pytest.fixture(scope="module", params=[MORTALITY, PHENOTYPES])
def prepared(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("given")
    make_given_source(place / "source" / "data")
    builder = KINDS[request.param](data_dir=place / "prepared")
    builder.prepare(place / "source")
    return request.param, builder


def _with(builder, **options):
    return type(builder)(data_dir=builder._data_dir_root, options=builder.OPTIONS(**options))


@pytest.fixture(scope="module")
def made():
    return {str(stay.stay_id): stay for stay in make_stays(20)}


def test_stays_labels_and_xrays(prepared, made):
    task, builder = prepared
    index = builder.index
    assert builder.damaged == {}
    assert {key.partition("+")[0] for key in index.keys} == set(made)
    for key, label, group in zip(index.keys, index.labels, index.groups, strict=True):
        stay = made[key.partition("+")[0]]
        assert tuple(label.tolist()) == stay.labels[task]
        assert group == stay.subject
        assert ("+" in key) == (len(stay.images) > 2)
    assert "own five folds, 30 with an X-ray, 3 features" in builder.provenance["rule"]
    assert "splits/fold5/stays_val.csv" in builder.provenance
    lacking = {key for key in index.keys if "+" not in key}
    assert builder.lacking == {"cxr": frozenset(lacking)}


@pytest.mark.parametrize("fold", range(5))
def test_the_sources_own_folds(prepared, made, fold):
    _, builder = prepared
    keys = [key.partition("+")[0] for key in builder.index.keys]
    partial = _with(builder, fold=fold, pairs="partial")
    found, _ = partial.parts(builder.index, 0)
    assert found.tolist() == [PARTS[given_part(made[key], fold)] for key in keys]
    paired, _ = _with(builder, fold=fold).parts(builder.index, 0)
    assert (paired == "none").sum() == 10
    with pytest.raises(ValueError, match="folds of their own"):
        _with(builder, split="extraction").parts(builder.index, 0)


def test_values_and_flags_of_the_features(prepared, made):
    _, builder = prepared
    rows = list(builder.as_data_source(split=UNDIVIDED))
    hourly = {key: given_values(stay)[:48].astype(np.float32) for key, stay in made.items()}
    builder.fitted = builder.fit(lambda: iter(rows))
    everything = np.concatenate(list(hourly.values())).astype(np.float64)
    median = np.nanmedian(everything, axis=0)
    quartiles = np.nanpercentile(everything, [25, 75], axis=0)
    iqr = quartiles[1] - quartiles[0]
    assert builder.columns == FEATURES
    assert builder.modalities["ehr"].shape == (48, 6)
    for row in rows[::7]:
        values = hourly[row["key"].decode().partition("+")[0]]
        sample = builder.decode(row, None)
        check_sample("ehr", builder.modalities["ehr"], sample["ehr"])
        filled = np.empty((48, 3))
        for column in range(3):
            last = median[column]
            for hour in range(48):
                last = last if np.isnan(values[hour, column]) else values[hour, column]
                filled[hour, column] = last
        expected = np.concatenate([(filled - median) / iqr, ~np.isnan(values)], axis=1)
        np.testing.assert_allclose(sample["ehr"]["values"], expected, rtol=1e-4, atol=1e-4)
        assert sample["ehr"]["mask"].all()


def test_the_last_of_the_named_xrays_is_taken(prepared, made, tmp_path):
    _, builder = prepared
    keys = [key.partition("+") for key in builder.index.keys if "+" in key]
    for name, _, dicom in keys:
        images = sorted(image for image in made[name].images if image.view == "AP")
        assert dicom == images[1].dicom


@pytest.mark.parametrize("outcome, other", [("icu", "hospital"), ("hospital", "icu")])
def test_a_death_that_is_not_listed_names_the_option_of_the_other(tmp_path, outcome, other):
    make_given_source(tmp_path / "source", patients=6)
    for path in (tmp_path / "source" / "splits").glob("*/stays_*.csv"):
        path.write_text(path.read_text().replace(f"{outcome}_mortality", "mortality"))
    options = MimicMortality.OPTIONS(outcome=outcome)
    builder = MimicMortality(data_dir=tmp_path / "data", options=options)
    with pytest.raises(
        ValueError, match=f"'{outcome}_mortality'; the option outcome={other} reads"
    ):
        builder.prepare(tmp_path / "source")


def test_wrong_lists_are_refused(tmp_path):
    make_given_source(tmp_path, patients=6)
    labels = LABELS[PHENOTYPES]
    path = tmp_path / "splits" / "fold2" / "stays_val.csv"
    kept = path.read_text()
    lines = kept.splitlines()
    for text, why in (
        (kept.replace("valid_cxrs", "cxrs"), "line 1: there is no column 'valid_cxrs'"),
        ("\n".join([*lines, lines[1]]), "is in validation too"),
        (kept.replace(lines[1], lines[1][:-1] + "7"), "0 or 1 is needed"),
        (kept.replace(lines[1], "x" + lines[1]), "line 2: numbers are needed"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            read_given_folds(tmp_path, labels)
    path.unlink()
    with pytest.raises(ValueError, match=r"stays_val\.csv does not exist"):
        read_given_folds(tmp_path, labels)
    path.write_text(kept)
    for series in (tmp_path / "time_series").iterdir():
        series.unlink()
    with pytest.raises(ValueError, match="none of 12 time series exists"):
        read_given_folds(tmp_path, labels)
    (tmp_path / "time_series").rmdir()
    with pytest.raises(ValueError, match="time_series does not exist"):
        read_given_folds(tmp_path, labels)


def test_damaged_series_are_left_out(tmp_path):
    make_given_source(tmp_path / "source", patients=10)
    stays = make_stays(10)
    places = [tmp_path / "source" / "time_series" / f"{s.stay_id}.csv" for s in stays[:5]]
    places[1].unlink()
    places[2].write_text("time_step,lab_ph\n")
    places[3].write_text(",".join(["time_step", *FEATURES]) + "\n")
    places[4].write_text(places[4].read_text().replace("\n0,", "\nzero,", 1))
    builder = MimicMortality(data_dir=tmp_path / "prepared")
    builder.prepare(tmp_path / "source")
    words = ("no such file", "no column 'vitalsign_hr'", "no measurement", "could not convert")
    found = {key.partition("+")[0]: why for key, why in builder.damaged.items()}
    assert set(found) == {str(stay.stay_id) for stay in stays[1:5]}
    for stay, why in zip(stays[1:5], words, strict=True):
        assert why in found[str(stay.stay_id)]
