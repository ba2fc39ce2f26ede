"""MIMIC, from its own files to decoded samples: both tasks."""

import datetime

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.builders.mimic.ehr_series import column_statistics
from masam_jax.data.builders.mimic.variables import EHR_COLUMNS, VARIABLES
from masam_jax.data.builders.mimic_mortality import MimicMortality
from masam_jax.data.builders.mimic_phenotype import MimicPhenotype
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET_MEAN, check_sample
from masam_jax.data.transforms.chest_xray import affine_crop, draw_affine
from tests.data.builders.mimic.test_ehr_series import hourly_reference, sequence_reference
from tests.data.builders.mimic.test_folds import reference as reference_folds
from tests.data.builders.mimic_source import (
    EYES,
    MORTALITY,
    MOTOR,
    PHENOTYPES,
    VERBAL,
    image_path,
    make_pixels,
    make_rows,
    make_source,
    make_stays,
    series_path,
)
from tests.data.transforms.test_image_augmentation import bilinear

KINDS = {MORTALITY: MimicMortality, PHENOTYPES: MimicPhenotype}
SPLITS = ("test", "train", "validation")
POINTS = {
    f"Glascow coma scale {part}": {word: n for n, words in levels.items() for word in words}
    for part, levels in (("eye opening", EYES), ("motor response", MOTOR))
}
POINTS["Glascow coma scale verbal response"] = {w: n for n, words in VERBAL.items() for w in words}


@pytest.fixture(scope="module", params=[MORTALITY, PHENOTYPES])
def prepared(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("mimic")
    make_source(place / "source", task=request.param)
    builder = KINDS[request.param](data_dir=place / "data")
    builder.prepare(place / "source")
    return request.param, builder


def _with(builder, **options):
    """The same prepared data, read in another way; with statistics of all of them."""
    found = type(builder)(data_dir=builder._data_dir_root, options=builder.OPTIONS(**options))
    found.fitted = builder.fit(lambda: iter(_examples(builder)))
    return found


def _examples(builder):
    return [row for split in SPLITS for row in builder.as_data_source(split=split)]


def _split(builder, split_seed=0, **sizes):
    sizes = {"train_size": None, "validation_size": None, "test_size": None} | sizes
    return builder.split(builder.index, seed=0, split_seed=split_seed, **sizes)


def _paired(stay, hours=48, views=("AP",)):
    """The last of a stay's X-rays that counts, and its number."""
    found = [
        (image.hours, number)
        for number, image in enumerate(stay.images)
        if image.view in views and 0 <= image.hours <= hours
    ]
    return max(found)[1] if found else None


def _key(stay, number):
    return stay.name if number is None else f"{stay.name}+{stay.images[number].dicom}"


def _table(stay, task):
    """Times and values of a stay, read from the made-up rows."""
    rows = [r for r in make_rows(stay) if task == PHENOTYPES or float(r["Hours"]) <= 48]
    values = [
        [
            np.nan if not row[name] else POINTS.get(name, {}).get(row[name]) or float(row[name])
            for name in VARIABLES
        ]
        for row in rows
    ]
    return np.array([float(row["Hours"]) for row in rows]), np.array(values)


def test_stays_labels_and_pairs(prepared):
    task, builder = prepared
    made = {_key(stay, _paired(stay)): stay for stay in make_stays()}
    index = builder.index
    assert set(index.keys) == set(made)
    assert sum("+" in key for key in index.keys) == 48
    for key, split, label, group in zip(*dataclass_fields(index), strict=True):
        assert split == made[key].split
        assert group == made[key].subject
        assert tuple(label.tolist()) == made[key].labels[task]
    assert builder.damaged == {}
    assert builder.num_classes == index.labels.shape[1] == {MORTALITY: 1, PHENOTYPES: 25}[task]
    rule = builder.provenance["rule"]
    assert rule == (
        "64 stays of the lists, of which 48 have an X-ray: the last one with view AP until 48"
        " hours after admission"
    )
    assert {"root/all_stays.csv", f"{task}/train/listfile.csv"} < set(builder.provenance)
    assert "mimic-cxr-2.0.0-metadata.csv.gz" in builder.provenance


def dataclass_fields(index):
    return index.keys, index.splits, index.labels, index.groups


def test_the_series_goes_from_the_table_to_the_sample(prepared):
    task, builder = prepared
    made = {_key(stay, _paired(stay)): stay for stay in make_stays()}
    stored = _examples(builder)
    # Statistics of some stays, by NumPy.
    fitted = builder.fit(lambda: iter(stored[:20]))
    hourly = {}
    for row in stored:
        stay = made[row["key"].decode()]
        period = stay.period if task == PHENOTYPES else 48.0
        hourly[stay.name] = hourly_reference(*_table(stay, task), period)
        np.testing.assert_array_equal(row["hourly"], hourly[stay.name].astype(np.float32))
        assert row["hours"] == min(48, int(np.ceil(period)))
    names = [made[row["key"].decode()].name for row in stored]
    expected = column_statistics([hourly[name] for name in names[:20]], EHR_COLUMNS)
    for name in ("median", "iqr"):
        np.testing.assert_allclose(fitted[name], expected[name], rtol=1e-5)
    reader = _with(builder)
    reader.fitted = fitted
    for row, name in list(zip(stored, names, strict=True))[::5]:
        found = reader.decode(row, None)["ehr"]
        wanted = sequence_reference(hourly[name], int(row["hours"]), fitted, 10.0)
        np.testing.assert_allclose(found["values"], wanted, rtol=1e-4, atol=1e-4)
        assert found["mask"].sum() == row["hours"]
        assert np.abs(found["values"]).max() <= 10


def test_values_that_stand_for_missing_ones_become_the_median(prepared):
    _, builder = prepared
    row = _examples(builder)[0]
    outliers = np.argwhere(row["hourly"][:, VARIABLES.index("Temperature")] > 1e6)
    assert len(outliers)
    column, limited, free = (
        EHR_COLUMNS.index("Temperature"),
        _with(builder),
        _with(builder, limit=None),
    )
    hour = outliers[0][0]
    assert limited.decode(row, None)["ehr"]["values"][hour, column] == 0
    assert free.decode(row, None)["ehr"]["values"][hour, column] > 1e5


def test_the_xray_is_the_middle_of_the_file_at_256(prepared):
    _, builder = prepared
    made = {_key(stay, _paired(stay)): stay for stay in make_stays()}
    reader = _with(builder)
    for row in _examples(builder)[::6]:
        stay = made[row["key"].decode()]
        sample, number = reader.decode(row, None), _paired(stay)
        if number is None:
            assert set(sample) == {"ehr"}
            assert len(row["cxr"]) == 0
            continue
        pixels = make_pixels(stay, number)
        height, width = (256 * side // min(pixels.shape) for side in pixels.shape)
        whole = bilinear(pixels[..., None], height, width)[..., 0]
        top, left = round((height - 224) / 2), round((width - 224) / 2)
        expected = whole[top : top + 224, left : left + 224]
        assert sample["cxr"].shape == (224, 224, 3)
        # JPEG loses a little, most of it at the corners.
        assert np.abs(sample["cxr"] - expected[..., None]).mean() < 1.5
        assert (sample["cxr"] == sample["cxr"][..., :1]).all()


def test_training_turns_scales_and_shifts(prepared):
    _, builder = prepared
    reader = _with(builder)
    row = next(row for row in _examples(builder) if len(row["cxr"]))
    stored = row["cxr"][0][..., 0]
    found = reader.decode(row, Draws(3, 1))["cxr"]
    expected = affine_crop(stored, draw_affine(*stored.shape, Draws(3, 1)), 224)
    np.testing.assert_array_equal(found, np.stack([expected] * 3, axis=-1))
    assert (found != reader.decode(row, Draws(3, 2))["cxr"]).any()
    ehr = [reader.decode(row, draws)["ehr"]["values"] for draws in (None, Draws(3, 1))]
    np.testing.assert_array_equal(*ehr)


@pytest.mark.parametrize("options", [{}, {"image_size": 32, "channels": 1}, {"image_size": 299}])
def test_every_sample_is_as_said(prepared, options):
    _, builder = prepared
    reader = _with(builder, **options)
    assert set(reader.modalities) == {"cxr", "ehr"}
    for draws in (None, Draws(0, 7)):
        for row in _examples(builder)[::4]:
            for name, values in reader.decode(row, draws).items():
                check_sample(name, reader.modalities[name], values)
    mean = reader.modalities["cxr"].normalization.mean
    grey = (sum(IMAGENET_MEAN) / 3,)
    assert mean == (grey if options.get("channels") == 1 else IMAGENET_MEAN)


@pytest.mark.parametrize("fold", range(5))
def test_folds_of_patients(prepared, fold):
    _, builder = prepared
    partial = _with(builder, fold=fold, pairs="partial")
    paired = _with(builder, fold=fold)
    assert (partial.has_missing, paired.has_missing) == (True, False)
    index = builder.index
    names = np.array(reference_folds(index.groups, fold, 3))
    with_xray = np.array(["+" in key for key in index.keys])
    for part, found, both in zip(
        ("train", "validation", "test"), _split(partial, 3), _split(paired, 3), strict=True
    ):
        assert found.tolist() == np.flatnonzero(names == part).tolist()
        assert both.tolist() == np.flatnonzero((names == part) & with_xray).tolist()
    groups = [set(index.groups[part]) for part in _split(partial, 3)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 32


def test_the_extractions_own_split(prepared):
    _, builder = prepared
    index = builder.index
    partial = _with(builder, split="extraction", pairs="partial", fold=2)
    for part, rows in _split(partial)._asdict().items():
        assert rows.tolist() == np.flatnonzero(index.splits == part).tolist()
    assert [len(part) for part in _split(partial)] == [40, 12, 12]
    paired = _split(_with(builder, split="extraction"))
    assert [len(part) for part in paired] == [30, 8, 10]
    assert all("+" in index.keys[row] for part in paired for row in part)


def test_sizes_draw_a_part(prepared):
    _, builder = prepared
    whole = _split(builder)
    part = _split(builder, train_size=9, validation_size=2, test_size=3)
    assert [len(rows) for rows in part] == [9, 2, 3]
    assert all(set(rows) <= set(all_rows) for rows, all_rows in zip(part, whole, strict=True))


def test_statistics_are_needed(prepared):
    _, builder = prepared
    reader = type(builder)(data_dir=builder._data_dir_root)
    with pytest.raises(ValueError, match=f"{builder.name}: `fitted` is None; .*medians"):
        reader.decode(_examples(builder)[0], None)


def test_prepared_twice_is_the_same(prepared, tmp_path):
    task, builder = prepared
    make_source(tmp_path / "source", task=task, packed=False)
    again = KINDS[task](data_dir=tmp_path / "data")
    again.prepare(tmp_path / "source", threads=5)
    assert again.index_digest() == builder.index_digest()
    for one, other in zip(_examples(builder), _examples(again), strict=True):
        np.testing.assert_array_equal(one["hourly"], other["hourly"])
        assert len(one["cxr"]) == len(other["cxr"])
        for picture, same in zip(one["cxr"], other["cxr"], strict=True):
            np.testing.assert_array_equal(picture, same)


@pytest.mark.parametrize(
    "options,hours,views",
    [
        ({"xray_hours": 10}, 10, ("AP",)),
        ({"xray_hours": None, "view": "AP"}, None, ("AP",)),
        ({"view": "PA"}, 48, ("PA",)),
        ({"view": "frontal"}, 48, ("AP", "PA")),
    ],
)
def test_other_xrays_can_be_asked_for(prepared, tmp_path, options, hours, views):
    task, _ = prepared
    source = tmp_path / "source"
    make_source(source, task=task, patients=10)
    other = KINDS[task](data_dir=tmp_path / "data", options=KINDS[task].OPTIONS(**options))
    found = {record.key: record for record in other.listing(source).records}
    expected = {}
    for stay in make_stays(10):
        until = max(stay.period, 49.0) if hours is None else hours
        expected[_key(stay, _paired(stay, until, views))] = stay
    assert set(found) == set(expected)
    for key, stay in expected.items():
        number = next((n for n, x in enumerate(stay.images) if x.dicom == key[-44:]), None)
        path = None if number is None else image_path(source, stay, stay.images[number])
        assert found[key].source["cxr"] == path


def test_data_prepared_with_other_xrays_are_not_taken_for_these(prepared):
    _, builder = prepared
    for name, value in (("view", "PA"), ("xray_hours", 24)):
        with pytest.raises(ValueError, match=f"prepared with {name}=.*another directory"):
            _ = _with(builder, **{name: value}).index


def test_damaged_files_are_left_out_and_named(tmp_path):
    source = tmp_path / "source"
    make_source(source, task=MORTALITY, patients=10)
    stays = make_stays(10)
    paths = [image_path(source, stay, stay.images[_paired(stay)]) for stay in stays[:4]]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    tables = [series_path(source, stay, MORTALITY) for stay in stays[:4]]
    tables[2].unlink()
    tables[3].write_text(tables[3].read_text().replace("Hours,", "Time,"))
    builder = MimicMortality(data_dir=tmp_path / "data")
    builder.prepare(source)
    keys = [_key(stay, _paired(stay)) for stay in stays]
    assert set(builder.damaged) == set(keys[:4])
    for key, path, why in (
        (keys[0], paths[0], "no such file"),
        (keys[1], paths[1], "truncated"),
        (keys[2], tables[2], "no such file"),
        (keys[3], tables[3], "no column 'Hours'"),
    ):
        assert str(path) in builder.damaged[key]
        assert why in builder.damaged[key]
    assert set(builder.index.keys) == set(keys[4:])
    with pytest.raises(ValueError, match=f"mimic_mortality: .*{stays[0].name}"):
        MimicMortality(data_dir=tmp_path / "strict").prepare(source, strict=True)


@pytest.mark.parametrize("pairs", ["paired", "partial"])
def test_data_without_any_xray_are_refused(tmp_path, pairs):
    source = tmp_path / "source"
    make_source(source, task=MORTALITY, patients=20)
    for path in (source / "mimic-cxr-jpg" / "files").rglob("*.jpg"):
        path.unlink()
    builder = MimicMortality(
        data_dir=tmp_path / "data", options=MimicMortality.OPTIONS(pairs=pairs)
    )
    with pytest.raises(ValueError, match=r"'cxr': \d+ could not be read, the first is .*no such"):
        builder.prepare(source)
    assert not builder.is_prepared


def test_most_xrays_missing_is_a_warning(tmp_path):
    source = tmp_path / "source"
    make_source(source, task=MORTALITY, patients=10)
    stays = [stay for stay in make_stays(10) if stay.split == "train" and len(stay.images) > 2]
    for stay in stays[1:]:
        image_path(source, stay, stay.images[_paired(stay)]).unlink()
    builder = MimicMortality(data_dir=tmp_path / "data")
    builder.prepare(source)
    warning = builder.warnings[0]
    assert f"train: 1 samples have the modality 'cxr'; {len(stays) - 1} could not be" in warning


@pytest.mark.parametrize("folder", ["mimic-cxr-jpg/2.0.0", "mimic-cxr-jpg", "."])
def test_xrays_resized_into_one_folder(tmp_path, folder):
    source = tmp_path / "source"
    make_source(source, patients=10)
    release = source / "mimic-cxr-jpg"
    table = release / "mimic-cxr-2.0.0-metadata.csv.gz"
    resized = source / folder / ("mimic_cxr_resized" if folder == "." else "resized")
    resized.mkdir(parents=True)
    for path in (release / "files").rglob("*.jpg"):
        path.rename(resized / path.name)
    if folder.endswith("2.0.0"):
        table.rename(source / folder / table.name)
    builder = MimicPhenotype(data_dir=tmp_path / "data")
    builder.prepare(source)
    assert builder.damaged == {}
    assert sum("+" in key for key in builder.index.keys) == 16


def test_death_in_intensive_care_or_in_hospital(tmp_path):
    source = tmp_path / "source"
    make_source(source, task=MORTALITY, patients=10)
    path = source / "mimic-iv-extracted" / "root" / "all_stays.csv"
    kept = path.read_text().splitlines()
    # Of those who die in hospital, some do not in intensive care.
    path.write_text("\n".join([kept[0], *(f"{line[:-1]}0" for line in kept[1:9]), *kept[9:]]))
    builder = MimicMortality(data_dir=tmp_path / "data")
    found = {record.key: record.label for record in builder.listing(source).records}
    options = MimicMortality.OPTIONS(outcome="hospital")
    hospital = MimicMortality(data_dir=tmp_path / "data", options=options).listing(source)
    expected = {record.key: record.label for record in hospital.records}
    for number, stay in enumerate(make_stays(10)):
        key = _key(stay, _paired(stay))
        assert expected[key] == stay.labels[MORTALITY]
        assert found[key] == ((0,) if number < 8 else stay.labels[MORTALITY])
    path.write_text("\n".join(kept).replace("mortality_inunit", "other"))
    with pytest.raises(
        ValueError, match=r"stays\.csv, line 1: .*'mortality_inunit'; .* outcome=hospital"
    ):
        builder.listing(source)


def test_wrong_layouts_say_what_is_needed(tmp_path):
    builder = MimicPhenotype(data_dir=tmp_path / "data")
    with pytest.raises(ValueError, match=r"no directory with files in it.*\n(.*\n)*.*phenotyping/"):
        builder.prepare(tmp_path / "none")
    make_source(tmp_path / "source", patients=3)
    (tmp_path / "source" / "mimic-cxr-jpg" / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    with pytest.raises(ValueError, match=r"metadata\.csv\.gz does not exist; the table of X-rays"):
        builder.prepare(tmp_path / "source")
    (tmp_path / "source" / "mimic-cxr-jpg").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="mimic-cxr-jpg does not exist"):
        builder.prepare(tmp_path / "source")
    (tmp_path / "source" / "mimic-iv-extracted").rename(tmp_path / "away")
    (tmp_path / "source" / "readme").write_text("")
    with pytest.raises(ValueError, match="mimic-iv-extracted does not exist"):
        builder.prepare(tmp_path / "source")


def test_links_to_the_folders_will_do(tmp_path):
    make_source(tmp_path / "real", patients=10)
    (tmp_path / "source").mkdir()
    for name in ("mimic-iv-extracted", "mimic-cxr-jpg"):
        (tmp_path / "source" / name).symlink_to(tmp_path / "real" / name)
    builder = MimicPhenotype(data_dir=tmp_path / "data")
    builder.prepare(tmp_path / "source")
    assert len(builder.index.keys) == 20


def test_midnight_and_the_turn_of_the_year_are_no_trouble():
    # Some of the made-up images are taken after midnight, with leading zeros lost.
    taken = [
        stay.begin + datetime.timedelta(hours=image.hours)
        for stay in make_stays()
        for image in stay.images
    ]
    assert any(moment.hour == 0 for moment in taken)
    assert len({moment.date() for moment in taken}) > 100


def test_the_files_are_jpeg(tmp_path):
    make_source(tmp_path, patients=1)
    files = list((tmp_path / "mimic-cxr-jpg").rglob("*.jpg"))
    assert len(files) == 12
    for file in files:
        with Image.open(file) as image:
            assert (image.format, image.mode) == ("JPEG", "L")
