"""The contract's checks on numbers, arguments, and composition with optax."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax import multimodal_value_and_grad
from tests.contract import (
    Factory,
    assert_same,
    batches,
    check,
    make_step,
    parameters,
    train,
    with_base,
)
from tests.networks import labels_of, loss_fn
from tests.optimizers import lenient


def _float_dtypes(tree: Any) -> set[Any]:
    return {x.dtype for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)}


@check
def moves_the_parameters(factory: Factory) -> None:
    """All but the unimodal heads, which a method may leave without a gradient."""
    run = train(with_base(factory(labels_of)))
    chex.assert_tree_all_finite(run)
    for group in ("encoders", "fusion"):
        moved = jax.tree.map(lambda a, b: bool((a != b).any()), run.params, parameters())[group]
        assert all(jax.tree.leaves(moved))


@check
def update_dtypes_follow_the_gradients(factory: Factory) -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        tx, params = factory(labels_of), parameters(dtype=dtype)
        state = tx.init(params)
        _, grads, signals = multimodal_value_and_grad(loss_fn)(params, *batches(dtype)[0])
        updates, after = tx.update(grads, state, params, **signals)
        chex.assert_trees_all_equal_shapes_and_dtypes(updates, grads)
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        chex.assert_tree_all_finite(updates)
        assert _float_dtypes(after) <= {jnp.dtype(jnp.float32)}, "statistics are float32"


@check
def follows_float32_in_bfloat16(factory: Factory) -> None:
    tx = factory(labels_of)
    results = []
    for dtype in (jnp.float32, jnp.bfloat16):
        params = parameters(dtype=dtype)
        _, grads, signals = multimodal_value_and_grad(loss_fn)(params, *batches(dtype)[0])
        updates, _ = tx.update(grads, tx.init(params), params, **signals)
        results.append(jax.tree.map(lambda x: x.astype(jnp.float32), updates))
    assert_same(*results, tolerance=0.05)


@check
def ignores_unknown_extra_arguments(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    plain = train(tx)
    noisy = train(tx, value=jnp.float32(1.0), grad=None, epoch=3, value_fn=lambda x: x)
    assert_same(noisy, plain, tolerance=0.0)


@check
def works_untraced(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    assert_same(train(tx, step=make_step(tx)), train(tx))


@check
def missing_signals_are_named(factory: Factory) -> None:
    tx, params = factory(labels_of), parameters()
    _, grads, signals = multimodal_value_and_grad(loss_fn)(params, *batches()[0])
    state = tx.init(params)
    for name in signals:
        rest = {key: value for key, value in signals.items() if key != name}
        try:
            tx.update(grads, state, params, **rest)
        except ValueError as error:
            assert name in str(error), f"{error} does not name {name}"  # noqa: PT017


@check
def sits_anywhere_in_a_chain(factory: Factory) -> None:
    base = optax.sgd(0.1, momentum=0.9)
    want = train(optax.chain(factory(labels_of), base)).params
    for tx in (
        optax.chain(optax.identity(), factory(labels_of), base),
        optax.chain(optax.chain(factory(labels_of)), optax.clip_by_global_norm(1e6), base),
        optax.named_chain(("method", factory(labels_of)), ("base", base)),
        optax.chain(optax.chain(optax.identity(), optax.chain(factory(labels_of), base))),
    ):
        assert_same(train(tx).params, want)


@check
def sits_last_in_a_chain(factory: Factory) -> None:
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.scale(-0.1), factory(labels_of))
    chex.assert_tree_all_finite(train(tx))


@check
def works_before_a_partitioned_optimizer(factory: Factory) -> None:
    def parts(params: Any) -> Any:
        return {group: "encoder" if group == "encoders" else "rest" for group in params}

    tx = optax.chain(
        factory(labels_of),
        optax.partition({"encoder": optax.sgd(0.1), "rest": optax.sgd(0.1)}, parts),
    )
    assert_same(train(tx).params, train(optax.chain(factory(labels_of), optax.sgd(0.1))).params)


@check
def works_before_an_adaptive_optimizer(factory: Factory) -> None:
    tx = optax.chain(factory(labels_of), lenient(optax.adamw(1e-2)))
    chex.assert_tree_all_finite(train(tx))


@check
def maps_over_the_parameters_in_the_state(factory: Factory) -> None:
    """Adding 1 to every parameter-like array of the state changes the momentum alone."""
    params = parameters()
    for labels in (labels_of(params), labels_of):
        tx = with_base(factory(labels))
        state = tx.init(params)
        mapped = optax.tree.map_params(tx, lambda x: x + 1, state)
        chex.assert_trees_all_equal_shapes_and_dtypes(mapped, state)
        trace = optax.tree.get(mapped, "trace")
        assert_same(trace, jax.tree.map(lambda x: x + 1, optax.tree.get(state, "trace")))
        assert_same(mapped[0], state[0], tolerance=0.0)
