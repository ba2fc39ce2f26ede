"""Statistics of samples against NumPy's over all values at once."""

import numpy as np
import pytest

from masam_jax.data.modality import Modality
from masam_jax.data.sample_statistics import RunningStatistics, real_rows


def running(spec, samples):
    statistics = RunningStatistics(spec)
    for sample in samples:
        statistics.add(sample)
    return statistics.result()


@pytest.mark.parametrize(
    "kind, shape, dtype",
    [
        ("vector", (5,), np.float32),
        ("image", (4, 3, 3), np.uint8),
        ("spectrogram", (6, 4, 1), np.float32),
        ("frames", (2, 3, 4, 3), np.uint8),
    ],
)
def test_arrays(kind, shape, dtype):
    numbers = np.random.default_rng(0)
    # A mean far from zero, where sums of squares would lose digits.
    samples = (1000 + 30 * numbers.standard_normal((7, *shape))).clip(0, 2000)
    samples = (samples % 256 if dtype == np.uint8 else samples).astype(dtype)
    found = running(Modality(kind, shape, dtype), [*samples, None])
    values = samples.astype(np.float64).reshape(-1, shape[-1])
    assert (found.present, found.absent) == (7, 1)
    assert found.missing_share == 1 / 8
    assert (found.least, found.most) == (values.min(), values.max())
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std(), rtol=1e-9)
    np.testing.assert_allclose(found.column_mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.column_std, values.std(axis=0), rtol=1e-9)
    assert found.steps is None


def test_sequences_count_real_steps_alone():
    numbers = np.random.default_rng(1)
    masks = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], bool)
    values = numbers.standard_normal((3, 4, 2)).astype(np.float32)
    samples = [{"values": v, "mask": m} for v, m in zip(values, masks, strict=True)]
    found = running(Modality("sequence", (4, 2)), samples)
    real = values[masks].astype(np.float64)
    np.testing.assert_allclose(found.column_mean, real.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, real.std(), rtol=1e-9)
    assert found.steps == (1, 7 / 3, 4)


def test_tokens():
    sample = {"tokens": np.array([5, 9, 0], np.int32), "mask": np.array([True, True, False])}
    np.testing.assert_array_equal(real_rows(sample), [[5.0], [9.0]])
    found = running(Modality("tokens", (3,), np.int32, vocabulary_size=10), [sample])
    assert (found.least, found.most, found.mean, found.std) == (5, 9, 7, 2)
    assert found.steps == (2, 2.0, 2)


@pytest.mark.parametrize("samples", [[], [None, None]])
def test_without_values_there_are_no_numbers(samples):
    found = running(Modality("vector", (2,)), samples)
    assert np.isnan([found.least, found.most, found.mean, found.std]).all()
    assert np.isnan(found.column_mean).all()
    assert found.missing_share == (1.0 if samples else 0.0)


def test_a_sequence_without_real_steps_has_none():
    sample = {"values": np.zeros((3, 2), np.float32), "mask": np.zeros(3, bool)}
    found = running(Modality("sequence", (3, 2)), [sample])
    assert found.present == 1
    assert found.steps == (0, 0.0, 0)
    assert np.isnan(found.mean)
