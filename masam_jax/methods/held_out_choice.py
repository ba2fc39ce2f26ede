"""The losses on held-out training samples by which ``masam:select=held_out`` chooses."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.methods.objective import Network, Objective
from masam_jax.methods.schedule import Probe, Schedule


class HeldOutState(NamedTuple):
    """The state of `HeldOutObjective`.

    Attributes:
      losses: ``{m: scalar}``, the unimodal loss of the held-out samples at the last measurement, in
        float32 or wider; infinite where it is not known.
    """

    losses: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class HeldOutObjective(Objective):
    """The usual objective, which hands the losses of its state to the transformation."""

    def init_state(self, network: Network, params: optax.Params) -> HeldOutState:
        """Nothing is known, until the schedule measures before the first step."""
        unknown = jnp.full((), jnp.inf, accumulation_dtype(params))
        return HeldOutState(dict.fromkeys(network.modalities, unknown))

    def signals(self, state: HeldOutState) -> dict[str, Any]:
        """``held_out_losses``, as `masam` takes them."""
        return {"held_out_losses": state.losses}


@dataclasses.dataclass(frozen=True)
class HeldOutSchedule(Schedule):
    """Every epoch starts with a measurement of the held-out samples, the first one too.

    Attributes:
      share: of the training samples, held out: never trained on, and none of the validation's.
    """

    share: float = 0.2

    def period(self, steps_per_epoch: int) -> int:
        """Steps of an epoch of the samples that are left."""
        return steps_per_epoch

    def held_out(self) -> float:
        """The share of the training samples that is held out."""
        return self.share

    def revise(
        self, probe: Probe, params: optax.Params, opt_state: optax.OptState, state: HeldOutState
    ) -> HeldOutState:
        """The losses ``[S]`` for the next epoch."""
        del opt_state
        measured = probe.losses(params, "held_out")
        losses = _known({m: measured[m] for m in state.losses}, state.losses)
        # The training step is compiled for one sharding.
        return state._replace(
            losses={m: jax.device_put(losses[m], state.losses[m].sharding) for m in losses}
        )


@jax.jit
def _known(
    measured: Mapping[str, jax.Array], before: Mapping[str, jax.Array]
) -> dict[str, jax.Array]:
    """In the dtype of those before; a mean of exactly 0 is one over no sample, and says nothing."""
    return {
        m: jnp.where(loss == 0, jnp.inf, loss).astype(before[m].dtype)
        for m, loss in measured.items()
    }
