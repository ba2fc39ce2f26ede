import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.data.corruption import add_noise

KEYS = jax.random.split(jax.random.key(0), 4)


def _values(*shape, scale=1.0):
    return (scale * np.random.default_rng(1).normal(0.5, 2.0, shape)).astype(np.float32)


def _snr_db(signal, noisy):
    signal, noisy = signal.astype(np.float64), np.asarray(noisy, np.float64)
    return 10 * np.log10(np.mean(signal**2) / np.mean((noisy - signal) ** 2))


@pytest.mark.parametrize("snr_db", [-10.0, 0, 5.0, 30])
def test_each_sample_has_the_ratio_asked_for(snr_db):
    # 40,000 values a sample: the ratio has a standard deviation of 0.03 dB; keys are fixed.
    signal = (
        _values(4, 200, 200, 1) * np.array([1e-3, 1.0, 50.0, 1e4], np.float32)[:, None, None, None]
    )
    noisy = add_noise({"image": signal}, snr_db, KEYS)["image"]
    assert noisy.dtype == jnp.float32
    for row in range(4):
        assert abs(_snr_db(signal[row], noisy[row]) - snr_db) < 0.1


def test_noise_is_white_and_gaussian():
    noise = np.asarray(add_noise({"a": np.ones((4, 50_000), np.float32)}, 0.0, KEYS)["a"]) - 1
    flat = noise.astype(np.float64)
    # Standard errors of 200,000 draws: 0.0022, 0.0055 and 0.011.
    assert abs(flat.mean()) < 0.009
    assert abs((flat**3).mean()) < 0.04
    assert abs((flat**4).mean() - 3) < 0.09
    assert abs((flat[:, 1:] * flat[:, :-1]).mean()) < 0.009
    assert abs(np.corrcoef(flat) - np.eye(4)).max() < 0.02


def test_only_real_steps_count_and_get_noise():
    values = _values(4, 400, 50)
    mask = np.arange(400)[None] < np.array([400, 200, 300, 0])[:, None]
    # Padding that would dominate the power, were it counted.
    values = np.where(mask[..., None], values, 1e6).astype(np.float32)
    inputs = {"ehr": {"values": values, "mask": mask}}
    noisy = add_noise(inputs, 3.0, KEYS)["ehr"]
    np.testing.assert_array_equal(noisy["mask"], mask)
    np.testing.assert_array_equal(np.asarray(noisy["values"])[~mask], values[~mask])
    for row in range(3):
        assert abs(_snr_db(values[row][mask[row]], noisy["values"][row][mask[row]]) - 3) < 0.15
    bad = np.where(mask[..., None], values, np.nan).astype(np.float32)
    other = add_noise({"ehr": {"values": bad, "mask": mask}}, 3.0, KEYS)["ehr"]["values"]
    np.testing.assert_array_equal(np.asarray(other)[mask], np.asarray(noisy["values"])[mask])


def test_tokens_masks_integers_and_silence_stay_as_they_are():
    inputs = {
        "image": np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1),
        "silence": np.zeros((4, 9), np.float32),
        "text": {
            "tokens": np.arange(12, dtype=np.int32).reshape(4, 3),
            "mask": np.ones((4, 3), bool),
        },
    }
    noisy = add_noise(inputs, 0.0, KEYS)
    assert jax.tree.structure(noisy) == jax.tree.structure(inputs)
    for found, given in zip(jax.tree.leaves(noisy), jax.tree.leaves(inputs), strict=True):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)


def test_noise_belongs_to_the_key_and_the_name_whatever_else_is_there():
    inputs = {"a": _values(4, 30), "b": _values(4, 30)}
    noisy = add_noise(inputs, 10.0, KEYS)
    order = np.array([2, 0, 3])
    part = add_noise({"a": inputs["a"][order]}, 10.0, KEYS[order])
    np.testing.assert_array_equal(part["a"], noisy["a"][order])
    assert np.abs(np.asarray(noisy["a"]) - np.asarray(noisy["b"])).min() > 0
    one = add_noise(inputs, 10.0, KEYS, ["b"])
    np.testing.assert_array_equal(one["a"], inputs["a"])
    np.testing.assert_array_equal(one["b"], noisy["b"])


def test_raw_and_typed_keys_draw_the_same_and_other_keys_others():
    inputs = {"a": _values(4, 30)}
    typed = add_noise(inputs, 10.0, KEYS)["a"]
    np.testing.assert_array_equal(add_noise(inputs, 10.0, jax.random.key_data(KEYS))["a"], typed)
    other = add_noise(inputs, 10.0, jax.random.split(jax.random.key(1), 4))["a"]
    assert np.abs(np.asarray(other) - np.asarray(typed)).min() > 0


def test_jit_with_a_traced_ratio_and_vmap_over_seeds():
    inputs = {"a": {"values": _values(4, 6, 2), "mask": np.ones((4, 6), bool)}}
    plain = add_noise(inputs, 7.0, KEYS)["a"]["values"]
    jitted = jax.jit(add_noise)(inputs, jnp.float32(7.0), KEYS)["a"]["values"]
    np.testing.assert_allclose(jitted, plain, rtol=1e-5, atol=1e-6)
    keys = jnp.stack([KEYS, jax.random.split(jax.random.key(5), 4)])
    both = jax.tree.map(lambda x: np.stack([x, x]), inputs)
    mapped = jax.vmap(lambda x, k: add_noise(x, 7.0, k))(both, keys)["a"]["values"]
    np.testing.assert_allclose(mapped[0], plain, rtol=1e-5, atol=1e-6)
    second = add_noise(inputs, 7.0, keys[1])["a"]["values"]
    np.testing.assert_allclose(mapped[1], second, rtol=1e-5, atol=1e-6)


def test_half_precision_keeps_its_dtype():
    signal = jnp.asarray(_values(4, 20_000), jnp.bfloat16)
    noisy = add_noise({"a": signal}, 5.0, KEYS)["a"]
    assert noisy.dtype == jnp.bfloat16
    assert abs(_snr_db(np.asarray(signal, np.float64), noisy) - 5) < 0.1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"snr_db": float("inf")}, "snr_db must be a finite number, got inf"),
        ({"snr_db": float("nan")}, "snr_db must be a finite number, got nan"),
        ({"keys": KEYS[0]}, r"keys have shape \(\)"),
        ({"keys": KEYS[:3]}, r"keys have shape \(3,\); inputs\['a'\] have shape \(4, 2\)"),
        ({"modalities": ["c"]}, r"modalities: unknown modality 'c' \(known: a, image"),
        ({"modalities": ["image"]}, "modalities: 'image' has no floating values"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    inputs = {"a": _values(4, 2), "image": np.ones((4, 2, 2, 1), np.uint8)}
    with pytest.raises(ValueError, match=message):
        add_noise(**({"inputs": inputs, "snr_db": 5.0, "keys": KEYS} | arguments))
