"""The contract of ``contract.py``, over every transformation of the library."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import tests.contract_composition
import tests.contract_jax  # noqa: F401  (registers its checks)
from masam_jax import masam, sam
from masam_jax.methods import method_names, parse_method
from tests.contract import CHECKS, Factory, Run, assert_same, batches, make_step, parameters, train
from tests.networks import labels_of

RHO = 0.5


def _registered(name: str) -> Factory:
    return lambda labels: parse_method(name).transformation(labels, jax.random.PRNGKey(0))


FACTORIES: dict[str, Factory] = {
    "masam": lambda labels: masam(labels, rho=RHO),
    "masam-switch": lambda labels: masam(labels, rho=RHO, dispatch="switch"),
    "masam-all": lambda labels: masam(labels, rho=RHO, select="all"),
    "masam-random": lambda labels: masam(
        labels, rho=RHO, select="random", key=jax.random.PRNGKey(0)
    ),
    "masam-options": lambda labels: masam(
        labels,
        rho=lambda count: RHO / (1.0 + jnp.float32(count)),
        select="text",
        scale_by_alignment=False,
        alignment="per_tensor",
        clip_negative=True,
    ),
    "sam": lambda labels: sam(rho=RHO),
    **{f"registry-{name}": _registered(name) for name in method_names() if name != "masam"},
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_contract(factory: str, check: str) -> None:
    CHECKS[check](FACTORIES[factory])


# --- options that not every method has -------------------------------------------------------------

WITH_RHO = {
    "masam": lambda labels, rho: masam(labels, rho=rho),
    "masam-all": lambda labels, rho: masam(labels, rho=rho, select="all"),
    "sam": lambda labels, rho: sam(rho=rho),
}


@pytest.mark.parametrize("name", WITH_RHO)
def test_rho_follows_its_schedule(name: str) -> None:
    """A schedule that is ρ at one step and 0 at the others perturbs that step alone."""
    build = WITH_RHO[name]
    base = optax.sgd(0.1)

    def run_with(rho: Any) -> Run:
        return train(optax.chain(build(labels_of, rho), base))

    assert_same(run_with(lambda count: jnp.float32(RHO)).params, run_with(RHO).params)
    one = run_with(lambda count: jnp.where(count == 1, RHO, 0.0))
    params = parameters()
    for index, batch in enumerate(batches()):
        tx = optax.chain(build(labels_of, RHO if index == 1 else 0.0), base)
        if name != "sam" and index == 1:
            # The averages behind the choice of the dominant modality come from the first step.
            state = optax.tree.set(tx.init(params), **_statistics(first))
        else:
            state = tx.init(params)
        params, first = jax.jit(make_step(tx))(params, state, *batch)
    assert_same(one.params, params)
