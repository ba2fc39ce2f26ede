"""Prepared samples row by row, in whatever process or thread."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from masam_jax.data.draws import Draws
from masam_jax.data.sample_reader import read_in_parts


@pytest.fixture(scope="module")
def food(prepared):
    return prepared.open("food101", text="tokens")


@pytest.fixture(scope="module")
def stays(prepared):
    """Stays, some of which lack an X-ray."""
    data = prepared.open("mimic_mortality", pairs="partial")
    data.fit(data.split(seed=0).train)
    return data


def _equal(left, right):
    return jax.tree.structure(left) == jax.tree.structure(right) and jax.tree.all(
        jax.tree.map(np.array_equal, left, right)
    )


@pytest.mark.parametrize("name", ["food101", "ur_funny", "adni"])
def test_rows_are_those_of_the_index(prepared, name):
    data = prepared.open(name)
    splits = data.builder.index.splits
    assert len(set(splits)) > 1 or name == "adni"
    for row in range(len(data)):
        stored = data.reader.stored(row)
        assert stored["key"].decode() == data.keys[row]
        assert stored["label"] == data.labels[row]


def test_rows_are_read_in_any_order(food):
    rows = np.random.default_rng(0).permutation(len(food))
    found = food.reader(rows)
    assert found.inputs["image"].shape == (len(food), 32, 32, 3)
    assert found.inputs["image"].dtype == np.uint8
    assert found.inputs["text"]["tokens"].shape == (len(food), 12)
    for place, row in enumerate(rows):
        alone = food.reader([row])
        assert _equal(jax.tree.map(lambda x, i=place: x[i : i + 1], found), alone)
        decoded = food.builder.decode(food.reader.stored(row), None)
        assert _equal(jax.tree.map(lambda x: x[0], alone.inputs), decoded)


def test_specs_say_what_comes(food, stays):
    for data in (food, stays):
        for name, spec in data.modality_specs.items():
            batch = data.reader([0, 1]).inputs[name]
            found = jax.tree.map(lambda x: (x.shape[1:], x.dtype), batch)
            assert found == jax.tree.map(lambda x: (x.shape, x.dtype), spec.template)


def test_what_is_missing_is_zeros_and_marked(stays):
    rows = np.arange(len(stays))
    found = stays.reader(rows)
    there = found.present["cxr"]
    assert 0 < there.sum() < len(rows)
    assert found.present["ehr"].all()
    has_image = [len(stays.reader.stored(row)["cxr"]) > 0 for row in rows]
    np.testing.assert_array_equal(there, has_image)
    assert not found.inputs["cxr"][~there].any()
    assert found.inputs["cxr"][there].any(axis=(1, 2, 3)).all()
    assert found.inputs["cxr"].dtype == np.uint8


def test_augmentation_is_by_the_draws_of_each_row(food):
    rows = [3, 3, 4]

    def read(*seeds):
        return food.reader(rows, [Draws(seed, 1) for seed in seeds]).inputs["image"]

    first = read(0, 1, 0)
    np.testing.assert_array_equal(first, read(0, 1, 0))
    assert (first[0] != first[1]).any()
    plain = food.reader(rows).inputs["image"]
    np.testing.assert_array_equal(plain[0], plain[1])
    assert (first[0] != plain[0]).any()
    assert (read(2, 2, 2)[0] != first[0]).any()


@pytest.mark.parametrize("opened", [True, False])
def test_a_reader_travels_to_other_processes(stays, opened):
    """Also before it has read anything; open files stay behind."""
    reader = stays.reader
    if opened:
        reader([0])
    travelled = pickle.loads(pickle.dumps(reader))
    assert travelled._opened is None
    assert _equal(travelled(np.arange(6)), reader(np.arange(6)))
    assert travelled.fitted is not reader.fitted


def test_what_is_fitted_later_counts(prepared, stays):
    data = prepared.open("mimic_mortality", pairs="partial")
    with pytest.raises(ValueError, match="`fitted` is None"):
        data.reader([0])
    data.reader.fitted = stays.reader.fitted
    assert _equal(data.reader([0]), stays.reader([0]))
    fitted = jax.tree.map(lambda x: x + 1, stays.reader.fitted)
    data.reader.fitted = fitted
    moved = data.reader([0]).inputs["ehr"]["values"]
    assert (moved != stays.reader([0]).inputs["ehr"]["values"]).any()


def test_fitted_numbers_may_come_from_a_file(prepared, stays):
    """JSON has lists where there were arrays."""
    for name, data in (("mimic_mortality", stays), ("adni", prepared.open("adni"))):
        fitted = data.fit(data.split(seed=0).train)
        other = prepared.open(name, **({"pairs": "partial"} if data is stays else {}))
        other.reader.fitted = jax.tree.map(
            lambda x: x.tolist() if isinstance(x, np.ndarray) else x, fitted
        )
        rows = np.arange(len(data))
        assert _equal(data.reader(rows), other.reader(rows))


def test_threads_share_a_reader(prepared):
    data = prepared.open("food101")
    rows = np.random.default_rng(1).integers(0, len(data), (24, 3))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(data.reader, rows))
    for own, each in zip(rows, found, strict=True):
        assert _equal(each, data.reader(own))


def test_parts_are_the_rows_in_order(food):
    rows = np.array([5, 1, 9, 2, 2])
    parts = list(read_in_parts(food.reader, rows, 2))
    assert [len(part.present["image"]) for part in parts] == [2, 2, 1]
    whole = jax.tree.map(lambda *each: np.concatenate(each), *parts)
    assert _equal(whole, food.reader(rows))
