"""G-Blend: losses weighted by how much each one generalises, against how much it overfits."""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import WeightedMean
from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import Options, option
from masam_jax.methods.from_options import titled
from masam_jax.methods.method import Context, Method
from masam_jax.methods.objective import Network, Objective, Outcome, Present
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.schedule import Probe, Schedule
from masam_jax.methods.search import Integers

FUSION = "fusion"

LossesByName = Mapping[str, jax.Array]


class Measured(NamedTuple):
    """Mean losses ``{"fusion": [...], m: [...]}`` of the two parts of the training samples.

    Attributes:
      fit: on the samples that are trained on.
      held_out: on those that are not.
    """

    fit: LossesByName
    held_out: LossesByName


class GBlendState(NamedTuple):
    """The state of `GBlendObjective`.

    Attributes:
      weights: ``{"fusion": w, m: w}``, scalars that add up to 1, float32 or wider.
      trial_steps: int32 scalar, the length of a trial; it never changes.
    """

    weights: dict[str, jax.Array]
    trial_steps: jax.Array

    @property
    def report(self) -> Report:
        """The weight w of every loss, ``"fusion"`` among them, as ``loss_weight``."""
        return {"loss_weight": self.weights}


def blend_weights(
    before: Measured, after: Measured, previous: LossesByName, *, smallest_overfitting: float = 1e-3
) -> dict[str, jax.Array]:
    r"""G-Blend's weights of losses k, from what training on each of them alone has changed.

    With held-out losses $L^V_k$ and losses $L^T_k$ of the samples trained on,

    $$
    \begin{aligned}
    G_k &= L^V_k(\text{before}) - L^V_k(\text{after}), \qquad
    O_k = (L^V_k - L^T_k)(\text{after}) - (L^V_k - L^T_k)(\text{before}) \\
    w_k &= \frac{1}{Z} \frac{|G_k|}{\max(|O_k|, O_{min})^2}, \qquad
    Z = \sum_j \frac{|G_j|}{\max(|O_j|, O_{min})^2}
    \end{aligned}
    $$

    The sign of G is dropped, so that no weight is negative: training on a loss that only overfits
    is not undone, it gets little weight. Where a trial lowers $L^T_k$ by F, O = F - G: a
    held-out loss that rises by $|G|$ gets $((F + |G|) / (F - |G|))^2$ times less than
    one that falls by as much, and never more than $1 / (4F)$. An O of nearly zero is chance
    rather than perfect generalisation; without $O_{min}$ its loss would take all the weight.

    Args:
      before: losses before the trials, arrays of one shape; every entry is a model of its own.
      after: each loss k after the trial that trained on it.
      previous: the weights so far, which stay where Z is zero or not finite.
      smallest_overfitting: O_min > 0, in nats.

    Returns:
      ``{k: w_k}``, in the dtype of ``previous``.
    """
    shares = {}
    for k in previous:
        gain = before.held_out[k] - after.held_out[k]
        gap_before = before.held_out[k] - before.fit[k]
        overfitting = (after.held_out[k] - after.fit[k]) - gap_before
        shares[k] = jnp.abs(gain) / jnp.maximum(jnp.abs(overfitting), smallest_overfitting) ** 2
    total = sum(shares.values())
    usable = jnp.isfinite(total) & (total > 0)
    divisor = jnp.where(usable, total, 1)
    return {
        k: jnp.where(usable, share / divisor, previous[k]).astype(previous[k].dtype)
        for k, share in shares.items()
    }


@dataclasses.dataclass(frozen=True)
class GBlendObjective(Objective):
    """Cross-entropies of the fusion logits and of every modality's own, weighted by the state.

    Attributes:
      trial_steps: how long the schedule's trials are.
    """

    trial_steps: int = 1

    def init_state(self, network: Network, params: optax.Params) -> GBlendState:
        """Equal weights.

        Raises:
          ValueError: a modality is named "fusion", as the loss of all of them is here.
        """
        if FUSION in network.modalities:
            raise ValueError(
                f"g_blend: no modality may be named {FUSION!r}, got {network.modalities}"
            )
        names = (FUSION, *network.modalities)
        share = jnp.full((), 1 / len(names), accumulation_dtype(params))
        return GBlendState(dict.fromkeys(names, share), jnp.int32(self.trial_steps))

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: GBlendState,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The weighted losses, whose plain sum is G-Blend's; see `Objective.losses`."""
        plain = super().losses(
            network, params, features, labels, state, present=present, weights=weights
        )

        def weighted(k: str, loss: jax.Array | WeightedMean) -> jax.Array | WeightedMean:
            if isinstance(loss, WeightedMean):
                return loss.scaled(state.weights[k].astype(loss.total.dtype))
            return state.weights[k].astype(loss.dtype) * loss

        return plain._replace(
            fusion=weighted(FUSION, plain.fusion),
            unimodal={m: weighted(m, loss) for m, loss in plain.unimodal.items()},
        )


@dataclasses.dataclass(frozen=True)
class GBlendSchedule(Schedule):
    r"""Online gradient blending: every super-epoch starts with trials that set the weights.

    The network is trained from where it is, on copies and for as long as a trial is, once on the
    fusion loss alone and once on the unimodal losses alone; `blend_weights` makes the weights of
    what that changed, and the run goes on from where it was with
    $L = w_{fusion} L_{fuse} + \sum_m w_m L_m$. A super-epoch as long as the run is the
    paper's offline variant.

    One trial serves all unimodal losses: they share no parameter, and an optimizer that acts on
    every element by itself (AdamW does) then moves each modality as if its loss were alone.

    Held-out samples are a share of the training samples that the method gives up: it never trains
    on them. Any number of modalities M ≥ 1.

    Attributes:
      super_epoch: epochs between two estimates of the weights.
      share: of the training samples, held out.
      smallest_overfitting: see `blend_weights`.

    Differences from the release:
      - The release trains with weights given on its command line; what estimates them is in the
        paper alone. The weighted sum of losses is the same.
      - A trial goes on with the optimizer's state of the run; the paper does not say.
      - The paper's weights have a signed G and no $O_{min}$; see `blend_weights`.

    References:
      Weiyao Wang, Du Tran, Matt Feiszli. What Makes Training Multi-modal Classification Networks
      Hard? CVPR 2020 (the weights; G and O; online and offline G-Blend).
      https://arxiv.org/abs/1905.12681
    """

    super_epoch: int = 10
    share: float = 0.2
    smallest_overfitting: float = 1e-3

    def period(self, steps_per_epoch: int) -> int:
        """Steps of a super-epoch."""
        return self.super_epoch * steps_per_epoch

    def held_out(self) -> float:
        """The share of the training samples that is held out."""
        return self.share

    def revise(
        self, probe: Probe, params: optax.Params, opt_state: optax.OptState, state: GBlendState
    ) -> GBlendState:
        """The weights ``[S]`` for the next super-epoch."""
        before = _measure(probe, params)
        fit: dict[str, jax.Array] = {}
        held_out: dict[str, jax.Array] = {}
        for trained in ((FUSION,), probe.modalities):
            moved, _ = probe.train(
                params, opt_state, _train_only(state, trained), _trial_steps(state)
            )
            after = _measure(probe, moved)
            fit |= {k: after.fit[k] for k in trained}
            held_out |= {k: after.held_out[k] for k in trained}
        weights = _blend(
            before,
            Measured(fit, held_out),
            state.weights,
            smallest_overfitting=self.smallest_overfitting,
        )
        return state._replace(weights=_placed_as(weights, state.weights))


def _measure(probe: Probe, params: optax.Params) -> Measured:
    return Measured(probe.losses(params, "fit"), probe.losses(params, "held_out"))


def _train_only(state: GBlendState, trained: Collection[str]) -> GBlendState:
    weights = _one_where(state.weights, trained=tuple(trained))
    return state._replace(weights=_placed_as(weights, state.weights))


# Jitted, so that their constants are no transfers to the device.
_blend = jax.jit(blend_weights, static_argnames="smallest_overfitting")


@functools.partial(jax.jit, static_argnames="trained")
def _one_where(weights: dict[str, jax.Array], trained: tuple[str, ...]) -> dict[str, jax.Array]:
    return {k: jnp.full_like(w, float(k in trained)) for k, w in weights.items()}


def _trial_steps(state: GBlendState) -> int:
    # The same for all seeds; another process may hold the others.
    return int(jax.device_get(state.trial_steps.addressable_data(0)).ravel()[0])


def _placed_as(new: dict[str, jax.Array], old: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The training step is compiled for one sharding."""
    return {k: jax.device_put(new[k], old[k].sharding) for k in old}


@dataclasses.dataclass(frozen=True)
class GBlendOptions(Options):
    """Options of the method ``g_blend``; it has no λ, its weights are those of the losses.

    Attributes:
      super_epoch: epochs between two estimates of the weights.
      trial: the length of a trial as a share of the super-epoch; the paper's is 1.
      held_out: the share of the training samples that is held out for them, and not trained on.
      smallest_overfitting: the growth of the gap, in nats, below which it counts as that much.
    """

    super_epoch: int = option(10, "[1, inf)", "{} epochs")
    trial: float = option(1.0, "(0, inf)", "trial {}")
    held_out: float = option(0.2, "(0, 1)", "{} held out")
    smallest_overfitting: float = option(1e-3, "(0, inf)", "O ≥ {}")


def _objective(options: GBlendOptions, context: Context) -> GBlendObjective:
    super_epoch = options.super_epoch * context.steps_per_epoch
    return GBlendObjective(max(1, round(options.trial * super_epoch)))


G_BLEND = register(
    Method(
        name="g_blend",
        summary="weights every loss by its gain on held-out samples over its overfitting squared",
        options=GBlendOptions,
        title=titled("G-Blend"),
        objective=_objective,
        schedule=lambda options: GBlendSchedule(
            super_epoch=options.super_epoch,
            share=options.held_out,
            smallest_overfitting=options.smallest_overfitting,
        ),
        reports={"loss_weight": "w, the weight of the loss; all of them add up to 1"},
        search={"super_epoch": Integers(2, 20)},
    )
)
