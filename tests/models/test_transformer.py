import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.transformer import TransformerBlock, TransformerStack
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

WIDTH, HEADS = 6, 3
LENGTHS = np.asarray([4, 2, 1])
MASK = jnp.asarray(np.arange(4) < LENGTHS[:, None])


def _steps(dtype=np.float64, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(3, 4, WIDTH)), dtype)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_stacks_follow_their_equations(x64, pre_norm):
    stack = TransformerStack(
        WIDTH,
        2,
        HEADS,
        pre_norm=pre_norm,
        feed_forward=5,
        epsilon=1e-3,
        param_dtype=jnp.float64,
        rngs=nnx.Rngs(0),
    )
    stack, params = reference.randomized(stack)
    names = {"block_0", "block_1"} | ({"norm"} if pre_norm else set())
    assert set(params) == names
    assert params["block_0"]["dense_0"]["kernel"].shape == (WIDTH, 5)
    expected = reference.stack(
        params, _steps(), np.asarray(MASK), HEADS, pre_norm=pre_norm, epsilon=1e-3
    )
    np.testing.assert_allclose(run(stack, _steps(), MASK), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_block_without_dropout_or_in_evaluation_follows_its_equations(x64, dropout):
    block = TransformerBlock(
        WIDTH, HEADS, dropout=dropout, param_dtype=jnp.float64, rngs=nnx.Rngs(0)
    )
    block, params = reference.randomized(block)
    assert params["dense_0"]["kernel"].shape == (WIDTH, 4 * WIDTH)
    block.eval()
    expected = reference.block(
        params, _steps(), np.asarray(MASK), HEADS, pre_norm=True, epsilon=1e-5
    )
    np.testing.assert_allclose(run(block, _steps(), MASK), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_steps_that_are_not_real_are_not_seen(pre_norm):
    stack = TransformerStack(WIDTH, 2, HEADS, pre_norm=pre_norm, rngs=nnx.Rngs(0))
    steps, others = _steps(np.float32), _steps(np.float32, seed=1)
    changed = jnp.where(MASK[..., None], steps, others)
    outputs, again = run(stack, steps, MASK), run(stack, changed, MASK)
    np.testing.assert_array_equal(outputs[MASK], again[MASK])
    # They are there, though: where all are real, each has its say.
    everything = jnp.ones_like(MASK)
    assert (
        jnp.abs(run(stack, steps, everything) - run(stack, changed, everything))[:, 0].max() > 1e-3
    )


def test_order_of_the_steps_means_nothing_to_a_block():
    block = TransformerBlock(WIDTH, HEADS, rngs=nnx.Rngs(0))
    steps, order = _steps(np.float32), np.asarray([2, 0, 3, 1])
    np.testing.assert_allclose(
        run(block, steps[:, order], MASK[:, order]),
        run(block, steps, MASK)[:, order],
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("pre_norm", [True, False])
def test_sequences_without_a_real_step_have_finite_gradients(pre_norm):
    stack = TransformerStack(WIDTH, 2, HEADS, pre_norm=pre_norm, rngs=nnx.Rngs(0))
    graph, params = nnx.split(stack)

    def loss(tree, steps):
        return (nnx.merge(graph, tree)(steps, jnp.zeros_like(MASK)) ** 2).sum()

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, _steps(np.float32))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_dropout_is_drawn_in_training_alone():
    block = TransformerBlock(WIDTH, HEADS, dropout=0.5, rngs=nnx.Rngs(0))
    steps = _steps(np.float32)
    first, second = run(block, steps, MASK), run(block, steps, MASK)
    assert jnp.abs(first - second).max() > 1e-2
    block.eval()
    np.testing.assert_array_equal(run(block, steps, MASK), run(block, steps, MASK))
    block.train()
    assert jnp.abs(run(block, steps, MASK) - run(block, steps, MASK)).max() > 1e-2


def test_every_sample_has_its_own_dropout():
    block = TransformerBlock(WIDTH, HEADS, dropout=0.5, rngs=nnx.Rngs(0))
    # Only the attention weights are left to differ.
    block.dropout_0.rate = block.dropout_1.rate = 0.0
    same = jnp.broadcast_to(_steps(np.float32)[:1], (3, 4, WIDTH))
    outputs = run(block, same, jnp.ones_like(MASK))
    assert jnp.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_without_dropout_all_state_is_parameters():
    stack = nnx.eval_shape(lambda: TransformerStack(WIDTH, 2, HEADS, rngs=nnx.Rngs(0)))
    _, rest = nnx.state(stack, nnx.Param, ...)
    assert not jax.tree.leaves(rest)


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_computes_in_bfloat16_on_float32_parameters(dtype, pre_norm):
    stack = TransformerStack(
        WIDTH, 1, HEADS, pre_norm=pre_norm, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)
    )
    leaves = jax.tree.leaves(nnx.state(stack, nnx.Param))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float32)}
    outputs = jax.eval_shape(stack, _steps(dtype), MASK)
    assert outputs.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"heads": 0}, "heads must be an integer >= 1, got 0"),
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
        ({"feed_forward": 0}, "feed_forward must be an integer >= 1, got 0"),
        ({"heads": 4}, "width is 6 and heads is 4, which must divide it"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"dropout must be a number in \[0, 1\), got -0.1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransformerStack(
            **({"width": WIDTH, "depth": 1, "heads": HEADS} | arguments), rngs=nnx.Rngs(0)
        )
