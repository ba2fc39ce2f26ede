import re

import numpy as np
import pytest

from masam_jax.data.builders.adni import Adni, AdniOptions
from masam_jax.data.builders.adni_table import CATEGORIES, DIAGNOSTIC_SCORES, MRI, TABULAR
from masam_jax.data.modality import check_sample
from tests.data.builders.adni_source import make_rows, make_source, write_rows

COLUMNS = {"tabular": TABULAR, "mri": MRI}


@pytest.fixture(scope="module")
def adni(tmp_path_factory):
    place = tmp_path_factory.mktemp("adni")
    make_source(place / "source")
    builder = Adni(data_dir=place / "prepared")
    builder.prepare(place / "source")
    return builder


def _kept():
    """The rows that are samples, by name, in the order of subject and month."""
    return {
        f"{int(row['RID']):04d}_{row['VISCODE']}": row
        for row in make_rows()
        if row["DX"] and any(row[name] for name in MRI)
    }


def _number(name, text):
    if text in ("", "NA", "Unknown"):
        return np.nan
    return CATEGORIES[name][text] if name in CATEGORIES else float(text.strip("<>"))


def _values(rows, modality):
    return np.array([[_number(name, row[name]) for name in COLUMNS[modality]] for row in rows])


def _split(builder, split_seed=0, **sizes):
    sizes = {"train_size": None, "validation_size": None, "test_size": None} | sizes
    return builder.split(builder.index, seed=0, split_seed=split_seed, **sizes)


def _variant(builder, **options):
    return Adni(data_dir=builder._data_dir_root, options=AdniOptions(**options))


def test_columns_are_as_many_as_published():
    assert (len(TABULAR), len(set(TABULAR))) == (43, 43)
    assert (len(MRI), len(set(MRI))) == (185, 185)
    kinds = [re.fullmatch(r"ST(\d+)(CV|TA|SV)", name).groups() for name in MRI]
    codes = {kind: [int(code) for code, found in kinds if found == kind] for _, kind in kinds}
    assert {kind: len(found) for kind, found in codes.items()} == {"CV": 68, "TA": 68, "SV": 49}
    assert codes["CV"] == codes["TA"] == sorted(codes["CV"])
    assert not set(codes["CV"]) & set(codes["SV"])
    assert {29, 88, 37, 96} <= set(codes["SV"])
    # Labels that name no region: unknown, corpus callosum as cortex, interior, undetermined.
    assert not {64, 123, 22, 81, 33, 92, 63, 122} & {int(code) for code, _ in kinds}
    assert not {"DX", "DX_bl"} & set(TABULAR)
    assert set(DIAGNOSTIC_SCORES) < set(TABULAR)


def test_samples_are_the_visits_with_a_diagnosis_and_a_scan(adni):
    kept, index = _kept(), adni.index
    assert index.keys == tuple(kept)
    assert len(kept) == 90 - 5 - 4
    expected = [("CN", "MCI", "Dementia").index(row["DX"]) for row in kept.values()]
    assert index.labels.tolist() == expected
    assert index.groups.tolist() == [key[:4] for key in kept]
    assert adni.CLASS_NAMES == ("CN", "MCI", "AD")
    assert adni.provenance["left_out"] == ("4 visits without a diagnosis, 5 without any MRI value")
    shares = [np.isnan(_values(kept.values(), name)).mean() for name in ("mri", "tabular")]
    assert adni.provenance["missing"] == f"mri {shares[0]:.1%}, tabular {shares[1]:.1%}"
    assert adni.damaged == {}


def test_values_go_from_the_table_to_the_sample(adni):
    kept = _kept()
    rows = list(adni.as_data_source(split="all"))
    fitted = adni.fit(lambda: iter(rows[:30]))
    medians = {}
    for name in COLUMNS:
        values = _values(kept.values(), name)[:30]
        assert fitted["missing"][name] == pytest.approx(np.isnan(values).mean())
        medians[name] = [
            np.nanmedian(column) if np.isfinite(column).any() else 0.0 for column in values.T
        ]
        np.testing.assert_allclose(fitted["median"][name], medians[name], rtol=1e-6)
    assert medians["tabular"][TABULAR.index("PIB")] == 0
    builder = _variant(adni)
    builder.fitted = fitted
    for key, stored in zip(kept, rows, strict=True):
        assert stored["key"].decode() == key
        sample = builder.decode(stored, None)
        assert set(sample) == set(builder.modalities)
        for name, modality in builder.modalities.items():
            check_sample(name, modality, sample[name])
            expected = _values([kept[key]], name)[0]
            expected = np.where(np.isnan(expected), medians[name], expected)
            np.testing.assert_allclose(sample[name], expected, rtol=1e-6)


def test_values_beyond_the_assay_and_words_are_coded(adni):
    stored = {row["key"].decode(): row["tabular"] for row in adni.as_data_source(split="all")}
    abeta = [stored[f"{subject:04d}_bl"][TABULAR.index("ABETA")] for subject in (1, 2, 3)]
    assert abeta == [8.0, 812.5, 1700.0]
    gender = {row["PTGENDER"] for row in _kept().values()}
    assert gender == {"Female", "Male", "Unknown"}
    for key, row in _kept().items():
        found = stored[key][TABULAR.index("PTGENDER")]
        np.testing.assert_equal(found, {"Female": 0, "Male": 1}.get(row["PTGENDER"], np.nan))


def test_scores_of_the_diagnosis_can_be_left_out(adni):
    builder = _variant(adni, diagnostic_scores=False)
    assert builder.modalities["tabular"].shape == (38,)
    builder.fitted = adni.fit(lambda: iter(adni.as_data_source(split="all")))
    whole = _variant(adni)
    whole.fitted = builder.fitted
    stored = adni.as_data_source(split="all")[0]
    names = [name for name in TABULAR if name not in DIAGNOSTIC_SCORES]
    assert builder.columns["tabular"] == tuple(names)
    found, full = builder.decode(stored, None), whole.decode(stored, None)
    np.testing.assert_array_equal(
        found["tabular"], [full["tabular"][TABULAR.index(name)] for name in names]
    )
    np.testing.assert_array_equal(found["mri"], full["mri"])


def test_medians_are_needed(adni):
    with pytest.raises(ValueError, match="training medians"):
        _variant(adni).decode(adni.as_data_source(split="all")[0], None)


def test_a_fold_is_three_tenths_of_each_class_and_one_baseline_visit_a_subject(adni):
    # Subjects of a class, in the order of PCG64's words, are dealt in turn to ten tenths.
    tenths, dealt = {}, 0
    for label, name in enumerate(("CN", "MCI", "Dementia")):
        members = sorted({int(row["RID"]) for row in make_rows() if row["DX"] == name})
        sequence = np.random.SeedSequence(3, spawn_key=(6, label))
        words = np.random.PCG64(sequence).random_raw(len(members))
        for _, subject in sorted(zip(words, members, strict=True)):
            tenths[subject] = dealt % 10
            dealt += 1
    assert dealt == 45
    wanted = {
        1: ({0, 1, 5, 6, 7, 8, 9}, {4}, {2, 3}),
        4: ({1, 2, 3, 4, 5, 6, 7}, {0}, {8, 9}),
    }
    for fold, parts in wanted.items():
        split = _split(_variant(adni, fold=fold), split_seed=3)
        for rows, part in zip(split, parts, strict=True):
            found = [adni.index.keys[row] for row in rows]
            expected = sorted(subject for subject, tenth in tenths.items() if tenth in part)
            assert found == [f"{subject:04d}_bl" for subject in expected]
            counts = np.bincount(adni.index.labels[rows], minlength=3)
            assert (counts >= len(part)).all()
            assert (counts <= 2 * len(part)).all()


def test_another_split_seed_draws_other_folds(adni):
    assert not np.array_equal(_split(adni).test, _split(adni, split_seed=1).test)
    assert [len(part) for part in _split(adni)] == [30, 5, 10]


@pytest.mark.parametrize("visit", ["bl", "all"])
def test_folds_share_out_the_subjects(adni, visit):
    groups, tested = adni.index.groups, []
    for fold in range(5):
        split = _split(_variant(adni, fold=fold, visit=visit))
        parts = [set(groups[part]) for part in split]
        assert len(set.union(*parts)) == sum(len(part) for part in parts) == 45
        baseline = _split(_variant(adni, fold=fold))
        assert [set(groups[part]) for part in baseline] == parts
        tested += list(parts[2])
    assert sorted(tested) == sorted(set(groups))
    rows = sum(len(part) for part in split)
    assert rows == {"bl": 45, "all": 81}[visit]


def test_sizes_draw_a_part_of_the_fold(adni):
    whole = _split(adni)
    part = _split(adni, train_size=9, validation_size=2, test_size=3)
    assert [len(found) for found in part] == [9, 2, 3]
    assert all(set(found) <= set(rows) for found, rows in zip(part, whole, strict=True))


def test_prepared_twice_is_the_same(adni, tmp_path):
    # Other order of rows and other names of columns, same content.
    write_rows(tmp_path / "source" / "other.csv", make_rows(), suffix="")
    again = Adni(data_dir=tmp_path / "prepared")
    again.prepare(tmp_path / "source", threads=3)
    assert again.index_digest() == adni.index_digest()
    for one, other in zip(
        adni.as_data_source(split="all"), again.as_data_source(split="all"), strict=True
    ):
        for name in COLUMNS:
            np.testing.assert_array_equal(one[name], other[name])


def test_conversions_negative_volumes_and_old_names_of_diagnoses(tmp_path):
    rows = make_rows(subjects=4, visits=1)
    for row, diagnosis in zip(
        rows, ("NL", "MCI to Dementia", "AD", "Dementia to MCI"), strict=True
    ):
        row["DX"] = diagnosis
    rows[0]["ST29SV"] = "-4"
    write_rows(tmp_path / "t.csv", rows)
    records = Adni(data_dir=tmp_path).listing(tmp_path).records
    assert [record.label for record in records] == [0, 2, 2, 1]
    assert np.isnan(records[0].source["mri"][MRI.index("ST29SV")])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("DX", "well", r"line 3: DX is 'well'; CN, NL, MCI"),
        ("VISCODE", "sc", r"line 3: VISCODE is 'sc'; 'bl', 'm06'"),
        ("RID", "x", r"line 3: RID is 'x'; a whole number"),
        ("RID", "45.5", r"line 3: RID is '45\.5'; a whole number"),
        ("RID", "²", r"line 3: RID is '²'; a whole number"),
        ("RID", "", r"line 3: RID is ''; a whole number"),
        ("MMSE", "many", r"line 3: MMSE is 'many'; a number is needed"),
        ("FAQ", "inf", r"line 3: FAQ is 'inf'; a number is needed"),
        ("ST13TA", "thin", r"line 3: ST13TA is 'thin'; a number is needed"),
        ("PTGENDER", "1", r"line 3: PTGENDER is '1'; Female, Male is needed"),
    ],
)
def test_a_bad_cell_is_told_with_its_line(tmp_path, column, value, message):
    rows = make_rows(subjects=3, visits=1)
    rows[1][column] = value
    write_rows(tmp_path / "t.csv", rows)
    with pytest.raises(ValueError, match=rf"t\.csv, {message}"):
        Adni(data_dir=tmp_path).listing(tmp_path)


def test_identifiers_that_pandas_made_fractions_are_read(tmp_path):
    rows = make_rows(subjects=3, visits=1)
    write_rows(tmp_path / "t.csv", rows)
    records = Adni(data_dir=tmp_path).listing(tmp_path).records
    for row in rows:
        row["RID"] += ".0"
    write_rows(tmp_path / "t.csv", rows)
    found = Adni(data_dir=tmp_path).listing(tmp_path).records
    assert [(r.key, r.group) for r in found] == [(r.key, r.group) for r in records]
    write_rows(tmp_path / "t.csv", [*rows, rows[0] | {"RID": "1"}])
    with pytest.raises(ValueError, match="line 5: RID 1 has a second visit 'bl'"):
        Adni(data_dir=tmp_path).listing(tmp_path)


def test_a_second_visit_of_the_same_code_is_refused(tmp_path):
    rows = make_rows(subjects=3, visits=1)
    write_rows(tmp_path / "t.csv", [*rows, rows[0]])
    with pytest.raises(ValueError, match="line 5: RID 1 has a second visit 'bl'"):
        Adni(data_dir=tmp_path).listing(tmp_path)


def test_columns_that_lack_or_are_there_twice_are_told(tmp_path):
    rows = make_rows(subjects=3, visits=1)
    for row in rows:
        del row["MOCA"], row["ST29SV"]
    write_rows(tmp_path / "t.csv", rows)
    with pytest.raises(ValueError, match=r"lacks 2 columns: MOCA, ST29SV\."):
        Adni(data_dir=tmp_path).listing(tmp_path)
    rows = make_rows(subjects=3, visits=1)
    for row in rows:
        row["ST29SV_UCSFFSX_other"] = "1"
    write_rows(tmp_path / "t.csv", rows)
    with pytest.raises(ValueError, match=r"ST29SV is there as \['ST29SV_.*one column is needed"):
        Adni(data_dir=tmp_path).listing(tmp_path)


@pytest.mark.parametrize("others", [(), ("TADPOLE_D3.csv", "TADPOLE_D1_D2_Dict.csv")])
def test_a_tadpole_table_is_told_from_the_merged_one(tmp_path, others):
    rows = make_rows(subjects=3, visits=1)
    for row in rows:
        for name in ("ADASQ4", "DIGITSCOR", "LDELTOTAL", "TRABSCOR", "mPACCdigit", "mPACCtrailsB"):
            del row[name]
        row.update(D1="1", D2="0", ST101SV_UCSFFSL_02_01_16_UCSFFSL51ALL_08_01_16="")
        for name in ("ABETA", "TAU", "PTAU"):
            row[f"{name}_UPENNBIOMK9_04_19_17"] = row.pop(name)
        del row["ST29SV"]
    write_rows(tmp_path / "TADPOLE_D1_D2.csv", rows)
    for name in others:
        (tmp_path / name).write_text("RID\n")
    with pytest.raises(ValueError, match="is a table of the TADPOLE challenge") as found:
        Adni(data_dir=tmp_path).listing(tmp_path)
    message = str(found.value)
    assert "1 of 185 columns of MRI" in message
    assert "of ADNIMERGE ABETA, ADASQ4, DIGITSCOR, LDELTOTAL, PTAU, TAU, TRABSCOR" in message
    assert "UCSFFSL columns are the longitudinal ones" in message
    assert "masam datasets info adni" in message


def test_one_table_is_needed(tmp_path):
    (tmp_path / "readme.txt").write_text("no table")
    with pytest.raises(ValueError, match=r"holds 0 \.csv files.*\n.*One CSV file"):
        Adni(data_dir=tmp_path).listing(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv is no CSV file"):
        Adni(data_dir=tmp_path).listing(tmp_path)


@pytest.mark.parametrize("options", [{"fold": 5}, {"fold": -1}, {"visit": "m06"}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}(=| must be )"):
        AdniOptions(**options)
