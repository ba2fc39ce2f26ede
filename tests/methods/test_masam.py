"""MASAM as a method of the zoo: its options are those of the transformation."""

from __future__ import annotations

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from masam_jax import masam, multimodal_value_and_grad
from masam_jax.methods import Context, parse_method
from tests.core.networks import labels_of, loss_fn
from tests.core.reference_network import draw_batches, initialise, nested

DIMENSIONS = {"audio": 2, "text": 3, "video": 4}
# Far from the defaults, so that each shows in a few steps; the dominant γ is negative at times.
OPTIONS: dict[str, Any] = {
    "rho": 2.0,
    "alpha": 0.05,
    "beta": 0.1,
    "select": "audio",
    "scale_by_alignment": False,
    "alignment": "per_tensor",
    "clip_negative": True,
    "decay": "standardized",
    "hysteresis": 0.5,
    "radius": "filter",
}


def trained(tx: optax.GradientTransformationExtraArgs) -> Any:
    """The parameters after a few steps, and the state of the transformation."""
    jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    chain = optax.chain(tx, optax.sgd(0.1))
    value_and_grad = multimodal_value_and_grad(loss_fn)

    @jit
    def step(params: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = chain.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, nested(initialise(0, DIMENSIONS)))
    state = chain.init(params)
    for batch in draw_batches(2, DIMENSIONS, steps=8):
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch))
    return params, state[0]


@pytest.mark.parametrize("option", [None, *OPTIONS])
def test_options_reach_the_transformation(x64: None, option: str | None) -> None:
    options = {} if option is None else {option: OPTIONS[option]}
    words = "".join(f":{name}={str(value).lower()}" for name, value in options.items())
    method = parse_method(f"masam{words}")
    got = trained(method.transformation(labels_of, Context()))
    chex.assert_trees_all_close(got, trained(masam(labels_of, **options)), rtol=1e-12)
    if option is not None:
        with pytest.raises(AssertionError):
            chex.assert_trees_all_close(got, trained(masam(labels_of)), rtol=1e-6)
