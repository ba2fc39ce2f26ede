"""The contract's checks on numbers, arguments, and composition with optax."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax import label_by_path
from tests.contract.contract import (
    Factory,
    assert_same,
    batches,
    check,
    labels_of,
    make_step,
    parameters,
    subject,
    train,
    value_and_grad_with_signals,
    with_base,
)

_value_and_grad = jax.jit(value_and_grad_with_signals())


def _first_updates(factory: Factory, dtype: Any) -> tuple[Any, Any, Any, Any]:
    """The gradients and updates of the first step, and the states around it."""
    tx, params = factory(labels_of), parameters(dtype=dtype)
    state = tx.init(params)

    @jax.jit
    def update() -> tuple[Any, Any, Any]:
        _, grads, signals = value_and_grad_with_signals()(params, *batches(dtype)[0])
        return grads, *tx.update(grads, state, params, **signals)

    return (state, *update())


@check
def moves_the_parameters(factory: Factory) -> None:
    """All but the unimodal heads, which a method may leave without a gradient."""
    run = subject(factory).run
    chex.assert_tree_all_finite(run)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), run.params, parameters())
    assert all(jax.tree.leaves([moved["encoders"], moved["fusion"]]))


@check
def dtypes_are_those_of_the_parameters(factory: Factory) -> None:
    results = []
    for dtype in (jnp.float32, jnp.bfloat16):
        state, grads, updates, after = _first_updates(factory, dtype)
        chex.assert_trees_all_equal_shapes_and_dtypes(updates, grads)
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        floats = {x.dtype for x in jax.tree.leaves(after) if jnp.issubdtype(x.dtype, jnp.floating)}
        assert floats <= {jnp.dtype(jnp.float32)}, "statistics are kept in float32"
        results.append(jax.tree.map(lambda x: x.astype(jnp.float32), updates))
    assert_same(results[0], results[1], tolerance=0.05)


@check
def ignores_unknown_extra_arguments(factory: Factory) -> None:
    """They do not change the program."""
    tx = subject(factory).tx
    unknown = {"value": jnp.float32(1.0), "grad": None, "epoch": 3, "value_fn": lambda x: x}
    operands = (parameters(), tx.init(parameters()), *batches()[0])
    programs = [str(jax.make_jaxpr(make_step(tx, **extra))(*operands)) for extra in ({}, unknown)]
    assert programs[0] == programs[1]


@check
def works_untraced(factory: Factory) -> None:
    tx, run = subject(factory).tx, subject(factory).run
    params, state = parameters(), tx.init(parameters())
    for batch in batches():
        _, grads, signals = _value_and_grad(params, *batch)
        updates, state = tx.update(grads, state, params, **signals)
        params = optax.apply_updates(params, updates)
    assert_same((params, state), tuple(run))


@check
def a_missing_signal_is_named_or_not_needed(factory: Factory) -> None:
    tx, params = factory(labels_of), parameters()
    state = tx.init(params)

    def update(without: str) -> Any:
        _, grads, signals = value_and_grad_with_signals()(params, *batches()[0])
        del signals[without]
        return tx.update(grads, state, params, **signals)

    for name in value_and_grad_with_signals()(params, *batches()[0])[2]:
        try:
            jax.eval_shape(lambda name=name: update(name))
        except ValueError as error:
            message = str(error)
            assert name in message, f"{message!r} does not name {name}"


@check
def sits_anywhere_in_a_chain(factory: Factory) -> None:
    tx = optax.named_chain(
        ("before", optax.identity()),
        ("method", optax.chain(optax.chain(factory(labels_of)), optax.clip_by_global_norm(1e6))),
        ("base", optax.sgd(0.1, momentum=0.9)),
    )
    assert_same(train(tx).params, subject(factory).run.params)
    last = optax.chain(optax.clip_by_global_norm(1.0), optax.scale(-0.1), factory(labels_of))
    chex.assert_tree_all_finite(train(last))


@check
def works_before_partitioned_optimizers(factory: Factory) -> None:
    """Equal optimizers behind a partition give what the one optimizer gives."""
    optimizers = {part: optax.sgd(0.1, momentum=0.9) for part in ("audio", "text", "other")}
    tx = optax.chain(factory(labels_of), optax.multi_transform(optimizers, labels_of))
    assert_same(train(tx).params, subject(factory).run.params)


@check
def maps_over_the_parameters_in_the_state(factory: Factory) -> None:
    """Adding 1 to every parameter-like array of the state changes the momentum alone."""
    state = subject(factory).run.state
    rules = {"^encoders/audio/": "audio", "^encoders/text/": "text", "": "other"}
    for labels in (labels_of(parameters()), label_by_path(rules)):
        tx = with_base(factory(labels))
        mapped = optax.tree.map_params(tx, lambda x: x + 1, state)
        chex.assert_trees_all_equal_shapes_and_dtypes(mapped, state)
        chex.assert_trees_all_equal(mapped[0], state[0])
        trace = optax.tree.get(state, "trace")
        assert_same(optax.tree.get(mapped, "trace"), jax.tree.map(lambda x: x + 1, trace))
