"""Prepared data as training sees them, on disk or read into memory."""

import pickle

import chex
import jax
import numpy as np
import pytest

from masam_jax.data import MultimodalData


@pytest.fixture(scope="module")
def food(prepared):
    return prepared.open("food101")


def test_facts_are_those_of_the_builder(food):
    builder, index = food.builder, food.builder.index
    assert food.name == "food101"
    assert len(food) == len(index.keys) == len(food.labels)
    assert food.modalities == ("image", "text")
    assert list(food.modality_specs) == ["image", "text"]
    assert (food.num_classes, food.metric) == (len(builder.CLASS_NAMES), builder.METRIC)
    assert not food.multi_label
    assert not food.has_missing
    assert food.digest() == builder.index_digest()
    with pytest.raises(ValueError, match="read-only"):
        food.labels[0] = 0


def test_several_labels(prepared):
    data = prepared.open("mimic_phenotype", pairs="partial")
    assert data.multi_label
    assert data.labels.shape == (len(data), 25)
    assert data.num_classes == 25
    assert data.has_missing


def test_the_split_is_the_builders(food):
    split = food.split(seed=3)
    expected = food.builder.split(
        food.builder.index,
        seed=3,
        split_seed=0,
        train_size=None,
        validation_size=None,
        test_size=None,
    )
    chex.assert_trees_all_equal(split, expected)
    names = food.builder.index.splits
    assert set(names[split.test]) == {"test"}
    assert len(food.split(seed=3, train_size=21).train) == 21


def test_fitting_is_on_the_rows_that_are_given(prepared):
    data = prepared.open("adni")
    train = data.split(seed=0).train
    fitted = data.fit(train)
    assert data.reader.fitted is fitted
    columns = np.array([data.reader.stored(row)["mri"] for row in train], np.float64)
    np.testing.assert_allclose(fitted["median"]["mri"], np.nanmedian(columns, axis=0), rtol=1e-6)
    assert prepared.open("food101").fit(np.arange(4)) is None


@pytest.mark.parametrize(
    "name, options",
    [("food101", {}), ("ur_funny", {}), ("mimic_phenotype", {"pairs": "partial"}), ("adni", {})],
)
def test_in_memory_they_are_the_same_rows(prepared, name, options):
    data = prepared.open(name, **options)
    data.fit(data.split(seed=0).train)
    memory = data.in_memory()
    assert isinstance(memory, MultimodalData)
    found = data.reader(np.arange(len(data)))
    chex.assert_trees_all_equal(dict(memory.features), found.inputs)
    np.testing.assert_array_equal(memory.labels, data.labels)
    assert memory.has_missing == data.has_missing
    if data.has_missing:
        chex.assert_trees_all_equal(dict(memory.present), found.present)
    for fact in ("name", "num_classes", "multi_label", "metric", "modalities", "modality_specs"):
        assert getattr(memory, fact) == getattr(data, fact)
    chex.assert_trees_all_equal(memory.split(seed=1), data.split(seed=1))


def test_another_process_opens_its_own(prepared, monkeypatch):
    monkeypatch.chdir(prepared.data_dir)
    opened = prepared.open("av_digits")
    data = opened.select(opened.modalities[:1])
    sent = pickle.loads(pickle.dumps(data))
    monkeypatch.chdir("/")
    assert (sent.modalities, sent.digest()) == (data.modalities, data.digest())
    rows = np.arange(3)
    jax.tree.map(np.testing.assert_array_equal, sent.reader(rows), data.reader(rows))
