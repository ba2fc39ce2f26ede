import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.data import Modality, Normalization, feature_statistics, standardize
from masam_jax.data.standardization import streamed_statistics

FEATURES = {
    "vector": np.random.default_rng(0).normal(3.0, 2.0, (20, 4)).astype(np.float32),
    "image": np.random.default_rng(1).integers(0, 255, (20, 5, 6, 3)).astype(np.uint8),
}


def test_standardised_training_rows_have_mean_0_and_std_1():
    rows = np.arange(0, 20, 2)
    statistics = feature_statistics(FEATURES, rows)
    standard = standardize({m: x[rows] for m, x in FEATURES.items()}, statistics)
    for modality, axes in (("vector", 0), ("image", (0, 1, 2))):
        mean, std = statistics[modality]
        assert mean.shape == std.shape == FEATURES[modality].shape[-1:]
        assert mean.dtype == std.dtype == standard[modality].dtype == np.float32
        np.testing.assert_allclose(standard[modality].mean(axes), 0, atol=1e-5)
        np.testing.assert_allclose(standard[modality].std(axes), 1, rtol=1e-5)


def test_rows_outside_the_training_set_change_nothing():
    rows = np.arange(10)
    changed = {m: x.copy() for m, x in FEATURES.items()}
    for array in changed.values():
        array[10:] = 77
    before, after = feature_statistics(FEATURES, rows), feature_statistics(changed, rows)
    for modality in FEATURES:
        np.testing.assert_array_equal(before[modality], after[modality])


def test_a_constant_feature_gives_zeros():
    # 0.1 has no exact float32, so its computed spread need not be exactly zero.
    features = {"a": np.stack([np.full(9, 0.1), np.zeros(9), np.arange(9)], 1).astype(np.float32)}
    statistics = feature_statistics(features, np.arange(9))
    np.testing.assert_allclose(statistics["a"][1], [1, 1, np.sqrt(60 / 9)], rtol=1e-6)
    standard = standardize(features, statistics)["a"]
    np.testing.assert_allclose(standard[:, :2], 0, atol=1e-6)


def test_a_tiny_but_real_spread_is_kept():
    features = {"a": np.array([[1e-20], [3e-20]])}
    np.testing.assert_allclose(feature_statistics(features, np.arange(2))["a"][1], [1e-20])


def test_several_seeds_at_once_equal_one_at_a_time():
    rows = np.array([[0, 1, 2, 3], [9, 8, 7, 6]])
    stacked = feature_statistics(FEATURES, rows)
    for seed in range(2):
        single = feature_statistics(FEATURES, rows[seed])
        for modality in FEATURES:
            for together, alone in zip(stacked[modality], single[modality], strict=True):
                np.testing.assert_array_equal(together[seed], alone)


def test_standardize_is_the_same_under_jit_and_vmap():
    rows = np.array([[0, 1, 2, 3], [9, 8, 7, 6]])
    statistics = feature_statistics(FEATURES, rows)
    inputs = {m: x[rows] for m, x in FEATURES.items()}
    mapped = jax.jit(jax.vmap(standardize))(inputs, statistics)
    for seed in range(2):
        alone = standardize(
            {m: x[seed] for m, x in inputs.items()},
            {m: (mean[seed], std[seed]) for m, (mean, std) in statistics.items()},
        )
        for modality in FEATURES:
            np.testing.assert_allclose(
                mapped[modality][seed], alone[modality], rtol=1e-6, atol=1e-6
            )


@pytest.mark.parametrize(
    "rows, message",
    [
        (np.zeros(0, np.int32), "empty"),
        (np.array([0.5]), "float64"),
        (np.array([20]), r"from 20 to 20.*rows 0\.\.19"),
        (np.array([-1]), "from -1 to -1"),
    ],
)
def test_bad_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        feature_statistics(FEATURES, rows)


RULES = {
    "vector": Modality("vector", (4,)),
    "image": Modality("image", (5, 6, 3), np.uint8, Normalization("scalar")),
    "fixed": Modality("image", (5, 6, 3), np.uint8, Normalization("fixed", (1, 2, 3), (4, 5, 6))),
    "plain": Modality("vector", (4,), normalization=Normalization("none")),
    "sequence": Modality("sequence", (7, 2)),
    "scaled": Modality("sequence", (7, 2), normalization=Normalization("scalar")),
    "tokens": Modality("tokens", (7,), np.int32, vocabulary_size=9),
}


def _every_kind(rows=20):
    """Rows of every rule; what is beyond a sequence's end is far off."""
    rng = np.random.default_rng(2)
    mask = np.arange(7) < rng.integers(1, 8, rows)[:, None]
    values = np.where(mask[..., None], rng.normal(1, 3, (rows, 7, 2)), 1e6).astype(np.float32)
    return {
        **FEATURES,
        "fixed": FEATURES["image"],
        "plain": FEATURES["vector"],
        "sequence": {"values": values, "mask": mask},
        "scaled": {"values": values, "mask": mask},
        "tokens": {"tokens": rng.integers(0, 9, (rows, 7)).astype(np.int32), "mask": mask},
    }


def _reference(features, rows):
    """Mean and standard deviation, float64."""
    wide = {
        m: (tree["values"][rows][tree["mask"][rows]] if isinstance(tree, dict) else tree[rows])
        for m, tree in features.items()
        if m not in ("plain", "tokens", "fixed")
    }
    axes = {"vector": 0, "sequence": 0}
    found = {}
    for m, values in wide.items():
        x = values.astype(np.float64)
        pair = (x.mean(axes.get(m)), x.std(axes.get(m)))
        found[m] = tuple(np.atleast_1d(each) for each in pair)
    return found | {"fixed": (np.array([1, 2, 3.0]), np.array([4, 5, 6.0]))}


def test_each_rule_has_its_numbers():
    features, rows = _every_kind(), np.arange(3, 17)
    found = feature_statistics(features, rows, RULES)
    expected = _reference(features, rows)
    assert list(found) == sorted(expected)
    for m, pair in expected.items():
        for own, wanted in zip(found[m], pair, strict=True):
            assert (own.shape, own.dtype) == (wanted.shape, np.float32)
            np.testing.assert_allclose(own, wanted, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_in_parts_they_are_the_same(size):
    features = _every_kind()
    parts = (
        jax.tree.map(lambda x, i=start: x[i : i + size], features) for start in range(0, 20, size)
    )
    found = streamed_statistics(parts, RULES)
    for m, pair in _reference(features, np.arange(20)).items():
        for own, wanted in zip(found[m], pair, strict=True):
            np.testing.assert_allclose(own, wanted, rtol=1e-6)


def test_parts_far_from_each_other_lose_no_digits():
    parts = [{"a": np.full((5, 1), 1e4 + i) + np.linspace(0, 0.01, 5)[:, None]} for i in (0, 1e-3)]
    whole = np.concatenate([part["a"] for part in parts])
    mean, std = streamed_statistics(parts, {"a": Modality("vector", (1,))})["a"]
    np.testing.assert_allclose(mean, whole.mean(0), rtol=1e-7)
    # 1e-6 of the values themselves, below which a spread is rounding.
    assert whole.std() < 1e4 * 1e-6
    np.testing.assert_array_equal(std, [1])
    parts = [{"a": 100 * part["a"] - 1e6} for part in parts]
    std = streamed_statistics(parts, {"a": Modality("vector", (1,))})["a"][1]
    np.testing.assert_allclose(std, 100 * whole.std(0), rtol=1e-4)


def test_nothing_is_read_where_nothing_is_fitted():
    def parts():
        raise AssertionError("it was read")
        yield

    rules = {m: RULES[m] for m in ("fixed", "plain", "tokens")}
    assert list(streamed_statistics(parts(), rules)) == ["fixed"]


def test_rows_without_the_modality_do_not_count():
    has = np.arange(20) % 3 > 0
    features = _every_kind()
    rows = np.arange(2, 18)
    found = feature_statistics(features, rows, RULES, {"vector": has, "sequence": has})
    counted = rows[has[rows]]
    expected = _reference(features, rows) | {
        m: _reference(features, counted)[m] for m in ("vector", "sequence")
    }
    for m, pair in expected.items():
        for own, wanted in zip(found[m], pair, strict=True):
            np.testing.assert_allclose(own, wanted, rtol=1e-6)
    nowhere = {"scaled": np.zeros(20, bool)}
    with pytest.raises(ValueError, match="no training sample has a value of 'scaled'"):
        feature_statistics(features, rows, RULES, nowhere)


def test_trees_are_standardised_where_they_are_real():
    features, rows = _every_kind(), np.arange(20)
    statistics = feature_statistics(features, rows, RULES)
    standard = standardize(features, statistics)
    mapped = jax.jit(standardize)(jax.tree.map(jnp.asarray, features), statistics)
    for found in (standard, mapped):
        mask = features["sequence"]["mask"]
        values = np.asarray(found["sequence"]["values"])
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[mask].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(values[mask].std(0), 1, rtol=1e-5)
        assert not values[~mask].any()
        np.testing.assert_array_equal(found["sequence"]["mask"], mask)
        assert found["tokens"]["tokens"].dtype == np.int32
        np.testing.assert_array_equal(found["tokens"]["tokens"], features["tokens"]["tokens"])
        np.testing.assert_array_equal(found["plain"], features["plain"])
        expected = (features["fixed"].astype(np.float64) - [1, 2, 3]) / [4, 5, 6]
        np.testing.assert_allclose(found["fixed"], expected, rtol=1e-6)
    chex.assert_trees_all_close(standard, dict(mapped), atol=1e-05)
