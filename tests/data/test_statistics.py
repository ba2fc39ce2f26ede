import jax
import numpy as np
import pytest

from masam_jax.data import feature_statistics, standardize

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
