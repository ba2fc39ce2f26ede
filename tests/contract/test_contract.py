"""The contract of ``contract.py``, over every transformation of the library."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

import tests.contract.contract_composition
import tests.contract.contract_jax  # noqa: F401  (registers its checks)
from masam_jax import masam, sam
from masam_jax.methods import Context, method_names, parse_method
from masam_jax.methods.mla import mla
from tests.contract.contract import (
    CHECKS,
    DEVICES,
    LATE_FUSION,
    Factory,
    Run,
    assert_same,
    batches,
    labels_of,
    make_step,
    parameters,
    subject,
    train,
)

RHO = 0.5
RELATIVE: dict[str, Any] = {
    "rho": 0.1,
    "radius": "relative",
    "correct_other": True,
    "direction": "total",
}


def _registered(name: str) -> Factory:
    return lambda labels: parse_method(name).transformation(labels, Context(steps_per_epoch=2))


def _by_held_out_losses(labels: Any) -> optax.GradientTransformationExtraArgs:
    """`masam` with losses that a caller measured once."""
    tx = masam(labels, rho=RHO, select="held_out", hysteresis=0.1)

    def update(updates: Any, state: Any, params: Any = None, **signals: Any) -> Any:
        known = {"audio": 0.75, "text": 0.5}
        return tx.update(updates, state, params, held_out_losses=known, **signals)

    return optax.GradientTransformationExtraArgs(tx.init, update)


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
    "masam-relative": lambda labels: masam(labels, **RELATIVE),
    "masam-relative-switch": lambda labels: masam(labels, dispatch="switch", **RELATIVE),
    "masam-fit": lambda labels: masam(labels, rho=RHO, fit_exponent=0.5),
    "masam-filter": lambda labels: masam(labels, rho=RHO, radius="filter"),
    "masam-choice": lambda labels: masam(
        labels, rho=RHO, decay="standardized", score_smoothing=0.5, hysteresis=0.05
    ),
    "masam-decay": lambda labels: masam(labels, rho=RHO, decay="relative", select="weakest"),
    "masam-losses": lambda labels: masam(labels, rho=RHO, select="lowest_loss"),
    "masam-held-out": _by_held_out_losses,
    "masam-soft": lambda labels: masam(labels, rho=RHO, select="soft"),
    "masam-lazy": lambda labels: masam(labels, rho=RHO, perturb_every=2, reuse="lazy"),
    "sam": lambda labels: sam(rho=RHO),
    # Its shared head is a parameter that only its own objective adds.
    "mla": lambda labels: mla(labels, head="fusion/audio"),
    **{
        f"registry-{name}": _registered(name)
        for name in method_names()
        if name not in ("masam", "sam", "mla")
    },
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_contract(factory: str, check: str) -> None:
    CHECKS[check](FACTORIES[factory])


# --- options that not every method has ---

WITH_RHO = {
    "masam": lambda labels, rho: masam(labels, rho=rho),
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
    once = run_with(lambda count: jnp.where(count == 1, jnp.float32(RHO), 0))
    tx = {rho: optax.chain(build(labels_of, rho), base) for rho in (0.0, RHO)}
    step = {rho: jax.jit(make_step(tx[rho])) for rho in tx}
    by_hand = Run(parameters(), tx[0.0].init(parameters()))
    for radius, batch in zip((0.0, RHO, 0.0), batches(), strict=True):
        by_hand = step[radius](*by_hand, *batch)
    assert_same(once, by_hand)


@pytest.mark.parametrize("name", WITH_RHO)
def test_rho_is_an_injectable_hyperparameter(name: str) -> None:
    base = optax.sgd(0.1)
    if name == "sam":
        injected = optax.inject_hyperparams(sam)(rho=RHO)
    else:
        injected = optax.inject_hyperparams(masam, static_args=("labels",))(
            labels=labels_of,
            rho=RHO,
            alpha=0.8,
            beta=0.91,
        )
    want = train(optax.chain(WITH_RHO[name](labels_of, RHO), base)).params
    tx = optax.chain(injected, base)
    assert_same(train(tx).params, want)
    params, state = parameters(), tx.init(parameters())
    state[0].hyperparams["rho"] = jnp.zeros_like(state[0].hyperparams["rho"])
    step, run = jax.jit(make_step(tx)), Run(params, state)
    for batch in batches():
        run = step(*run, *batch)
    assert_same(run.params, train(optax.chain(WITH_RHO[name](labels_of, 0.0), base)).params)
    assert step._cache_size() == 1


@pytest.mark.parametrize("name", [name for name in FACTORIES if name.startswith("masam")])
def test_masam_inside_multi_transform_is_refused(name: str) -> None:
    tx = FACTORIES[name](labels_of)
    inside = optax.multi_transform(
        {"a": tx, "b": optax.sgd(0.1)},
        lambda params: {group: "a" if group == "encoders" else "b" for group in params},
    )
    with pytest.raises(ValueError, match="multi_transform"):
        inside.init(parameters())


@pytest.mark.parametrize("name", [name for name in FACTORIES if name.startswith("masam")])
def test_late_fusion_on_eight_devices_equals_one_device_in_one_piece(name: str) -> None:
    """Features stay on their device; the mean is taken outside the dominant modality's branch."""
    tx, _, want = subject(FACTORIES[name])
    whole, shards = PartitionSpec(), PartitionSpec("devices")
    step = jax.shard_map(
        make_step(tx, axis_name="devices", loss=LATE_FUSION),
        mesh=jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,)),
        in_specs=(whole, whole, shards, shards),
        out_specs=whole,
    )
    assert_same(train(tx, step=jax.jit(step)), want, tolerance=1e-4)
