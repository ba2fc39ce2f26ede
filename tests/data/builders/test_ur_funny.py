import os

import numpy as np
import pytest

from masam_jax.data.builders.ur_funny import UrFunny, UrFunnyOptions
from masam_jax.data.modality import check_sample
from tests.data.builders.ur_funny_source import (
    WIDTHS,
    make_packed_source,
    make_source,
    read,
    write,
)


def _prepared(tmp_path, source, name="prepared", **options):
    # Values as they are stored are easier to look for.
    options = UrFunnyOptions(**{"standardize": "train", **options})
    builder = UrFunny(data_dir=tmp_path / name, options=options)
    if not builder.is_prepared:
        builder.prepare(source)
    return builder


def _decoded(builder, split):
    return [builder.decode(example, None) for example in builder.as_data_source(split=split)]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Source and data prepared from it."""
    place = tmp_path_factory.mktemp("release")
    make_source(place / "source")
    return place, _prepared(place, place / "source")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    place = tmp_path_factory.mktemp("packed")
    make_packed_source(place / "source")
    return place, _prepared(place, place / "source")


def _joined(sdk, sample, width, punchline="punchline_features", context="context_features"):
    blocks = [*sdk[sample][context], sdk[sample][punchline]]
    return np.concatenate([np.asarray(block, np.float64).reshape(-1, width) for block in blocks])


def test_splits_labels_and_names_are_the_releases(release):
    place, builder = release
    folder = place / "source" / "sdk_features"
    folds, labels = read(folder / "data_folds.pkl"), read(folder / "humor_label_sdk.pkl")
    index = builder.index
    for split, fold in (("train", "train"), ("validation", "dev"), ("test", "test")):
        keys = [int(key) for key in np.array(index.keys)[index.splits == split]]
        assert keys == sorted(folds[fold])
    assert [labels[int(key)] for key in index.keys] == index.labels.tolist()
    assert set(builder.provenance) == {"rule", "data_folds.pkl", "humor_label_sdk.pkl"}
    assert builder.damaged == {}
    split = builder.split(
        index, seed=0, split_seed=0, train_size=None, validation_size=None, test_size=None
    )
    assert [len(part) for part in split] == [24, 8, 8]


def test_samples_are_all_words_with_a_mask(release):
    place, builder = release
    folder = place / "source" / "sdk_features"
    tables = {
        "audio": read(folder / "covarep_features_sdk.pkl"),
        "vision": read(folder / "openface_features_sdk.pkl"),
    }
    words, vectors = read(folder / "language_sdk.pkl"), read(folder / "word_embedding_list.pkl")
    keys = np.array(builder.index.keys)[builder.index.splits == "test"]
    for key, sample in zip(keys, _decoded(builder, "test"), strict=True):
        assert set(sample) == set(WIDTHS)
        for name, modality in builder.modalities.items():
            check_sample(name, modality, sample[name])
        whole = {n: _joined(table, int(key), WIDTHS[n]) for n, table in tables.items()}
        indices = _joined(
            words, int(key), 1, "punchline_embedding_indexes", "context_embedding_indexes"
        )
        whole["text"] = np.stack([vectors[int(i)] for i in indices[:, 0]])
        whole["audio"] = np.where(np.isfinite(whole["audio"]), whole["audio"], 0)
        for name, table in whole.items():
            steps = len(table)
            np.testing.assert_array_equal(sample[name]["mask"], np.arange(50) < steps)
            np.testing.assert_array_equal(sample[name]["values"][:steps], table.astype(np.float32))
            assert not sample[name]["values"][steps:].any()


def test_what_no_number_is_becomes_zero(release):
    place, builder = release
    found = read(place / "source" / "sdk_features" / "covarep_features_sdk.pkl")
    assert not np.isfinite(found[1]["punchline_features"][0][:3]).any()
    for example in builder.as_data_source(split="train"):
        first = len(example["audio"]) - example["punchline_steps"][0]
        assert not example["audio"][first, :3].any()
        assert np.isfinite(example["audio"]).all()


def test_options_cut_what_is_read(release):
    place, builder = release
    short = _prepared(place, None, max_steps=4)
    alone = _prepared(place, None, context=False)
    assert short.modalities["vision"].shape == (4, 371)
    lengths = set()
    for example in builder.as_data_source(split="train"):
        whole = example["vision"]
        found = short.decode(example, None)["vision"]
        kept = min(4, len(whole))
        np.testing.assert_array_equal(found["values"][:kept], whole[-kept:])
        assert found["mask"].sum() == kept
        punchline = alone.decode(example, None)
        for position, name in enumerate(sorted(WIDTHS)):
            steps = int(example["punchline_steps"][position])
            assert punchline[name]["mask"].sum() == steps
            np.testing.assert_array_equal(punchline[name]["values"][:steps], example[name][-steps:])
        lengths.add((len(whole), steps))
    assert len({whole for whole, _ in lengths}) > 2
    assert any(whole > steps for whole, steps in lengths)
    with pytest.raises(ValueError, match="max_steps=0 is out of range"):
        UrFunnyOptions(max_steps=0)


def test_the_packed_file_loses_its_padding(packed):
    place, builder = packed
    found = read(place / "source" / "humor.pkl")
    index = builder.index
    assert [int((index.splits == s).sum()) for s in ("train", "validation", "test")] == [23, 6, 8]
    assert "1 samples without any text" in builder.provenance["rule"]
    assert "train_00001" not in index.keys
    assert "valid_00005" in index.keys
    labels = {split: index.labels[index.splits == split].tolist() for split in ("test", "train")}
    assert labels == {"test": [0, 1] * 4, "train": [0, *[0, 1] * 11]}
    for row, sample in enumerate(_decoded(builder, "test")):
        real = found["test"]["text"][row].any(axis=1)
        for name, modality in builder.modalities.items():
            check_sample(name, modality, sample[name])
            table = found["test"][name][row][real]
            table = np.where(np.isfinite(table), table, 0)
            np.testing.assert_array_equal(sample[name]["values"][: len(table)], table)
            np.testing.assert_array_equal(sample[name]["mask"], np.arange(50) < real.sum())


def test_the_copy_of_agm_is_the_same_file(packed, tmp_path):
    place, builder = packed
    (tmp_path / "source").mkdir()
    content = (place / "source" / "humor.pkl").read_bytes()
    (tmp_path / "source" / "URFUNNY_AGM_format.pkl").write_bytes(content)
    again = _prepared(tmp_path, tmp_path / "source")
    assert again.index_digest() == builder.index_digest()
    assert "URFUNNY_AGM_format.pkl" in again.provenance
    other = UrFunny(data_dir=again._data_dir_root, options=UrFunnyOptions(context=False))
    with pytest.raises(ValueError, match="does not say where punchlines begin"):
        other.decode(again.as_data_source(split="train")[0], None)
    (tmp_path / "source" / "humor.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"humor\.pkl and URFUNNY_AGM_format\.pkl; one must go"):
        again.listing(tmp_path / "source")


def test_each_sample_is_standardised_by_itself(packed):
    place, builder = packed
    options = UrFunnyOptions(max_steps=6)
    assert options.standardize == "sample"
    own = UrFunny(data_dir=builder._data_dir_root, options=options)
    assert {m.normalization.rule for m in own.modalities.values()} == {"none"}
    found = read(place / "source" / "humor.pkl")["test"]
    for row, example in enumerate(builder.as_data_source(split="test")):
        sample = own.decode(example, None)
        real = found["text"][row].any(axis=1)
        for name in WIDTHS:
            whole = found[name][row][real].astype(np.float64)
            whole = np.where(np.isfinite(whole), whole, 0.0)
            centred = whole - whole.mean(axis=0)
            deviation = np.sqrt(((whole - whole.mean()) ** 2).sum() / (whole.size - 1))
            expected = (centred / (deviation + 1e-8))[-6:]
            values = sample[name]["values"]
            np.testing.assert_allclose(values[: len(expected)], expected, rtol=1e-4, atol=1e-5)
            assert not values[len(expected) :].any()


def test_a_sample_of_one_word_is_zeros(packed):
    _, builder = packed
    own = UrFunny(data_dir=builder._data_dir_root, options=UrFunnyOptions())
    example = dict(builder.as_data_source(split="test")[0])
    for name in WIDTHS:
        example[name] = np.asarray(example[name])[:1]
    for name, sample in own.decode(example, None).items():
        assert np.isfinite(sample["values"]).all(), name
        assert not sample["values"].any()


def test_the_packed_file_has_no_punchlines(packed, tmp_path):
    place, builder = packed
    with pytest.raises(ValueError, match="context is False"):
        _prepared(tmp_path, place / "source", context=False)
    # Nor does the prepared copy have them.
    other = UrFunny(data_dir=builder._data_dir_root, options=UrFunnyOptions(context=False))
    example = builder.as_data_source(split="train")[0]
    assert builder.decode(example, None)["text"]["mask"].any()
    with pytest.raises(ValueError, match=r"prepared from humor\.pkl, which does not say where"):
        other.decode(example, None)


def test_preparing_twice_gives_the_same(release, tmp_path):
    place, builder = release
    again = _prepared(tmp_path, place / "source")
    assert again.index_digest() == builder.index_digest()
    for one, other in zip(_decoded(builder, "train"), _decoded(again, "train"), strict=True):
        for name in WIDTHS:
            np.testing.assert_array_equal(one[name]["values"], other[name]["values"])


def _altered(directory, file, change):
    make_source(directory)
    path = directory / "sdk_features" / file
    content = read(path)
    change(content)
    write(path, content)
    return directory


@pytest.mark.parametrize(
    "file,change,why",
    [
        ("openface_features_sdk.pkl", lambda c: c.pop(2), "vision of 2 is missing"),
        (
            "covarep_features_sdk.pkl",
            lambda c: c[2].update(punchline_features=[[0.0] * 80]),
            r"audio of 2: an array has shape \(1, 80\)",
        ),
        (
            "covarep_features_sdk.pkl",
            lambda c: c[2].update(punchline_features=[[0.0], [0.0, 1.0]]),
            "audio of 2: ",
        ),
        (
            "language_sdk.pkl",
            lambda c: c[2].update(punchline_embedding_indexes=[1, 40]),
            r"text of 2: words have indices \[ 1 40\]; they must lie in 0..39",
        ),
        (
            "language_sdk.pkl",
            lambda c: c[2].update(punchline_embedding_indexes=[]),
            "text of 2 has a punchline without words",
        ),
    ],
)
def test_damaged_samples_are_left_out_and_counted(tmp_path, file, change, why):
    source = _altered(tmp_path / "source", file, change)
    builder = _prepared(tmp_path, source)
    assert list(builder.damaged) == ["2"]
    assert builder.damaged["2"].startswith(file)
    assert "2" not in builder.index.keys
    assert len(builder.index.keys) == 39
    strict = UrFunny(data_dir=tmp_path / "strict")
    with pytest.raises(ValueError, match=why):
        strict.prepare(source, strict=True)


@pytest.mark.parametrize(
    "file,change,why",
    [
        ("data_folds.pkl", lambda c: c.pop("dev"), r"data_folds\.pkl has .* 'dev' is needed"),
        ("humor_label_sdk.pkl", lambda c: c.pop(3), "has no label of 3"),
        ("humor_label_sdk.pkl", lambda c: c.update({3: 2}), "3 has the label 2"),
        ("data_folds.pkl", lambda c: c["dev"].append(c["test"][0]), "twice"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, file, change, why):
    source = _altered(tmp_path / "source", file, change)
    with pytest.raises(ValueError, match=why):
        _prepared(tmp_path, source)


def test_wrong_layouts_are_refused(tmp_path):
    make_source(tmp_path / "source")
    (tmp_path / "source" / "sdk_features" / "word_embedding_list.pkl").unlink()
    with pytest.raises(ValueError, match=r"word_embedding_list\.pkl does not exist"):
        _prepared(tmp_path, tmp_path / "source")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"humor\.pkl does not exist; .*data_folds\.pkl"):
        _prepared(tmp_path, tmp_path / "other")
    make_packed_source(tmp_path / "source")
    with pytest.raises(ValueError, match="leave the one that is meant"):
        _prepared(tmp_path, tmp_path / "source")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"sdk_features/ below it"):
        _prepared(tmp_path, tmp_path / "empty")


def test_version_1_is_refused(tmp_path):
    make_packed_source(tmp_path / "source")
    content = read(tmp_path / "source" / "humor.pkl")
    content["valid"]["vision"] = content["valid"]["vision"][..., :75]
    write(tmp_path / "source" / "humor.pkl", content)
    with pytest.raises(ValueError, match=r"valid/vision has shape \(6, 50, 75\); \[6, T, 371\]"):
        _prepared(tmp_path, tmp_path / "source")


class _Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["UR_FUNNY_HOSTILE"],)


@pytest.mark.parametrize("file", ["openface_features_sdk.pkl", "data_folds.pkl"])
def test_a_hostile_pickle_is_refused(tmp_path, monkeypatch, file):
    monkeypatch.setenv("UR_FUNNY_HOSTILE", str(tmp_path / "made"))
    make_source(tmp_path / "source")
    write(tmp_path / "source" / "sdk_features" / file, {1: _Hostile()})
    with pytest.raises(ValueError, match=rf"{file} is not a pickle of arrays.*mkdir"):
        _prepared(tmp_path, tmp_path / "source")
    assert not (tmp_path / "made").exists()
    read(tmp_path / "source" / "sdk_features" / file)
    assert (tmp_path / "made").exists()
