import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from masam_jax.data import SyntheticConfig, make_synthetic


def _accuracy(data, modalities):
    inputs = np.concatenate([data.features[m] for m in modalities], axis=1)
    half = len(data) // 2
    probe = RidgeClassifier().fit(inputs[:half], data.labels[:half])
    return probe.score(inputs[half:], data.labels[half:])


def test_same_configuration_same_data():
    first, second = make_synthetic(samples=50), make_synthetic(SyntheticConfig(samples=50))
    np.testing.assert_array_equal(first.labels, second.labels)
    for modality in first.modalities:
        np.testing.assert_array_equal(first.features[modality], second.features[modality])
    other = make_synthetic(samples=50, seed=1)
    assert not np.array_equal(first.features["m0"], other.features["m0"])


def test_classes_are_balanced_and_mixed():
    labels = make_synthetic(samples=402, num_classes=4).labels
    assert np.bincount(labels).tolist() == [101, 101, 100, 100]
    assert not np.array_equal(labels, np.arange(402) % 4)


def test_dims_give_vectors_and_images():
    data = make_synthetic(samples=8, dominance=(1.0, 1.0), dims=((4, 5, 3), 7))
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {
        "m0": (4, 5, 3),
        "m1": (7,),
    }
    assert all(array.dtype == np.float32 for array in data.features.values())


def test_names_sort_in_the_order_of_dominance():
    config = SyntheticConfig(dominance=(1.0,) * 12)
    assert config.modalities == tuple(sorted(config.modalities))
    assert config.modalities[-1] == "m11"


def test_a_further_modality_leaves_the_others_alone():
    two, three = (make_synthetic(samples=40, dominance=(1.0,) * count) for count in (2, 3))
    np.testing.assert_array_equal(two.labels, three.labels)
    for modality in two.modalities:
        np.testing.assert_array_equal(two.features[modality], three.features[modality])


def test_each_feature_has_the_documented_signal_to_noise_ratio():
    # Many classes, so that the variance over prototypes is close to its expectation of 1.
    config = SyntheticConfig(samples=4000, num_classes=1000, dominance=(2.0, 0.5), noise=1.5)
    noisy = make_synthetic(config)
    clean = make_synthetic(dataclasses.replace(config, noise=0.0))
    for modality, amplitude in zip(config.modalities, config.dominance, strict=True):
        signal = clean.features[modality]
        noise = noisy.features[modality] - signal
        np.testing.assert_allclose(signal.var(0).mean(), amplitude**2, rtol=0.1)
        np.testing.assert_allclose(noise.var(0).mean(), 1.5**2, rtol=0.1)


def test_dominance_orders_how_well_the_modalities_predict():
    data = make_synthetic(samples=2000, dominance=(2.0, 0.7, 0.2))
    strong, middle, weak = (_accuracy(data, [m]) for m in data.modalities)
    assert strong > middle + 0.1 > weak + 0.2
    assert weak < 0.6


def test_zero_dominance_is_pure_noise():
    data = make_synthetic(samples=4000, dominance=(1.0, 0.0))
    assert abs(_accuracy(data, ["m1"]) - 0.25) < 0.04


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_shared_is_the_latent_covariance_between_modalities(shared):
    # Without noise and with more features than latent dimensions, whitening leaves each modality's
    # latent up to a rotation, so every canonical correlation estimates the covariance.
    data = make_synthetic(
        samples=16000, num_classes=8000, dominance=(1.0, 1.0), noise=0.0, shared=shared
    )
    bases = []
    for array in data.features.values():
        centred = array.astype(np.float64) - array.mean(0)
        bases.append(np.linalg.svd(centred, full_matrices=False)[0][:, :8])
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    np.testing.assert_allclose(np.sqrt((correlations**2).mean()), shared, atol=0.05)


def test_fusion_gains_when_little_is_shared():
    gains = {}
    for shared in (0.0, 1.0):
        data = make_synthetic(dominance=(1.0, 1.0), noise=0.2, shared=shared, within_class=0.6)
        alone = max(_accuracy(data, [m]) for m in data.modalities)
        gains[shared] = _accuracy(data, data.modalities) - alone
    assert gains[0.0] > gains[1.0] + 0.03


def test_within_class_spans_trivial_to_impossible():
    easy = make_synthetic(samples=400, noise=0.0, within_class=0.0)
    hopeless = make_synthetic(samples=4000, noise=0.0, within_class=1.0)
    assert _accuracy(easy, ["m0"]) == 1.0
    assert abs(_accuracy(hopeless, ["m0"]) - 0.25) < 0.04


@pytest.mark.parametrize(
    "field, value",
    [
        ("samples", 3),
        ("num_classes", 1),
        ("dominance", ()),
        ("dominance", (1.0, -1.0)),
        ("dominance", (float("nan"),)),
        ("dims", (0,)),
        ("dims", (4, 4)),
        ("dims", ((4, 0),)),
        ("dims", ((),)),
        ("noise", -0.1),
        ("shared", 1.1),
        ("within_class", -0.1),
        ("latent_dim", 0),
        ("seed", -1),
    ],
)
def test_bad_fields_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}(=| must be )"):
        make_synthetic(**{field: value})


def test_unknown_field_is_refused():
    with pytest.raises(TypeError, match="dominence"):
        make_synthetic(dominence=(1.0,))
