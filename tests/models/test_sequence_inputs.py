import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.models import sequence_inputs
from masam_jax.models.dropout import make_dropout

MASK = np.asarray([[1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
VALUES = np.random.default_rng(0).normal(size=(4, 4, 2)).astype(np.float32)
# Nothing of a step that is not real may come through.
FILLED = jnp.asarray(np.where(MASK[..., None], VALUES, np.nan))


@pytest.mark.parametrize(
    "pool, expected",
    [
        (sequence_inputs.masked_mean, lambda real: real.mean(axis=0)),
        (sequence_inputs.first_step, lambda real: real[0]),
        (sequence_inputs.last_step, lambda real: real[-1]),
    ],
)
def test_pools_read_real_steps_alone(pool, expected):
    found = pool(FILLED, jnp.asarray(MASK))
    for row in range(3):
        np.testing.assert_allclose(found[row], expected(VALUES[row][MASK[row]]), rtol=1e-6)
    np.testing.assert_array_equal(found[3], np.zeros(2))
    grads = jax.grad(lambda x: (pool(x, jnp.asarray(MASK)) ** 2).sum())(FILLED)
    assert np.isfinite(grads).all()
    np.testing.assert_array_equal(grads[~MASK], 0.0)


def test_a_token_is_real_before_every_sequence():
    token = jnp.asarray([[3.0, 4.0]])
    steps, mask = sequence_inputs.prepend_token(token, jnp.asarray(VALUES), jnp.asarray(MASK))
    np.testing.assert_array_equal(steps[:, 0], np.tile([3.0, 4.0], (4, 1)))
    np.testing.assert_array_equal(steps[:, 1:], VALUES)
    np.testing.assert_array_equal(mask, np.pad(MASK, ((0, 0), (1, 0)), constant_values=True))


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_a_rate_of_dropout_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=rf"dropout must be a number in \[0, 1\), got {rate}"):
        make_dropout(rate, rngs=None)
