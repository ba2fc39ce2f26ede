"""AUG: modalities in turn through a shared head; the weaker one's classifier grows by boosting."""

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import WeightedMean
from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import Options, option
from masam_jax.methods.aug_classifier import AugLogits, classify, init_classifier
from masam_jax.methods.from_options import call, titled
from masam_jax.methods.method import Method
from masam_jax.methods.objective import (
    Logits,
    Network,
    Objective,
    Outcome,
    Present,
    require_one_class,
)
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.schedule import Schedule
from masam_jax.methods.search import Integers, Uniform


class AugState(NamedTuple):
    """The state of `AugObjective`.

    Attributes:
      step: int32 scalar, the steps taken.
      confidence: ``{m: scalar}``, Σ softmax(z_m)[y] over the epoch so far.
      layers: ``{m: int32 scalar}``, the layers that each modality has been given.
    """

    step: jax.Array
    confidence: dict[str, jax.Array]
    layers: dict[str, jax.Array]

    @property
    def report(self) -> Report:
        """The layers given so far, as ``layers``; see `method_report`."""
        return {"layers": self.layers}


@dataclasses.dataclass(frozen=True)
class AugObjective(Objective):
    r"""Boosted cross-entropy of one modality at a time, through classifiers that may grow.

    Modality m's features pass a layer of its own, and a head that all modalities share, h:

    $$
    z_m^{(0)} = h(\mathrm{relu}(W_m^{(0)} f_m)), \qquad
    z_m = \sum_{k=0}^{n_m} h(\mathrm{relu}(W_m^{(k)} f_m))
    $$

    With $n_m = 0$ layers given its loss is $CE(z_m, y)$. With more, the last of them,
    $\Delta$, corrects the rest, $\bar z = z_m - \Delta$:

    $$
    L_m = CE(z_m, y) + CE(\bar z, y) + CE(\Delta, y)
    - \lambda\, CE(\Delta, y \odot \mathrm{softmax}(\bar z))
    $$

    where y is one-hot and nothing is differentiated through the last softmax. At the end of the
    first epoch, and of every ``period``-th, the confidences $s_m = \sum_i
    \mathrm{softmax}(z_{m,i})[y_i]$ of that epoch are compared: if their ratio leaves 1 ± ``band``,
    the weaker modality is given a layer, unless it has all ``max_layers``. Of more than two
    modalities the weakest and the strongest are compared, and the weakest may grow. One modality
    alone never grows.

    Predicted logits are $\sum_m w_m z_m$: of two modalities the first in ``order`` has the weight
    ``merge`` and the second the rest; of any other number, all have the same. The ratio above is of
    the earlier to the later one in that order, too. Phases come in sorted order, whatever it is.

    The network's own fusion and unimodal heads are not used, and nothing but the base optimizer's
    weight decay moves them.

    Attributes:
      hidden: the width of every layer.
      residual: λ.
      merge: the first modality's weight in the prediction, of two.
      order: the modalities, joined by ``+``, as in ``"video+audio"``; sorted when None.
      period: epochs between two comparisons.
      band: how far the ratio of confidences may be from 1.
      max_layers: the most layers a modality may be given.
      steps_per_epoch: steps of an epoch.
      steps: steps in all; no layer is given at the last, which could not train it. None for no end.

    Differences from the release:
      - The release builds its optimizer before it adds layers, which it therefore never trains:
        they keep their random weights. Here, as in the paper, they train.
      - All layers exist from the start, since shapes are static: those not given yet have no part
        in any loss, but the base optimizer's weight decay reaches them. Layers that no comparison
        before the last step could give are left out.
      - It compares every tenth of the epochs, 20 of its 200; here ``period`` says when.
      - It validates before it adds a layer, here the first evaluation after a comparison sees it.
      - In its torch (1.11) gradients are zeroed between phases, not dropped: momentum and weight
        decay move the audio encoder again in the visual phase. Here that holds for the layers of
        all modalities, which with the head are the partition that every phase moves, and for no
        encoder.

    References:
      Qing-Yuan Jiang, Longfei Huang, Yang Yang. Rethinking Multimodal Learning from the Perspective
      of Mitigating Classification Ability Disproportion. NeurIPS 2025 (sustained boosting, and
      adaptive classifier assignment). https://arxiv.org/abs/2502.20120
    """

    # Confidences of modalities are compared, which must be of the same samples.
    takes_missing: ClassVar[bool] = False
    takes_tokens: ClassVar[bool] = False

    hidden: int = 256
    residual: float = 0.5
    merge: float = 0.4
    order: str | None = None
    period: int = 20
    band: float = 0.01
    max_layers: int = 10
    steps_per_epoch: int = 1
    steps: int | None = None

    @property
    def capacity(self) -> int:
        """The layers that training can give a modality at most; at least 1."""
        if self.steps is None:
            return self.max_layers
        epochs = (self.steps - 1) // self.steps_per_epoch
        comparisons = epochs // self.period + (epochs >= 1 and self.period > 1)
        return max(1, min(self.max_layers, comparisons))

    def init_params(self, network: Network, key: chex.PRNGKey) -> dict[str, Any]:
        """``{"head": …, "modalities": {m: {"layer": …, "added": …}}}``, see `init_classifier`.

        Raises:
          ValueError: samples have several labels, or ``order`` does not name the modalities.
        """
        require_one_class(network, "aug")
        self._in_order(network.modalities)
        sizes = network.feature_sizes
        return init_classifier(key, sizes, self.hidden, network.num_classes, self.capacity)

    def init_state(self, network: Network, params: optax.Params) -> AugState:
        """No layer given, nothing counted."""
        zero = jnp.zeros((), accumulation_dtype(params))
        none = jnp.zeros((), jnp.int32)
        names = network.modalities
        return AugState(none, dict.fromkeys(names, zero), dict.fromkeys(names, none))

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: AugState,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The boosted loss of the modality in turn.

        Raises:
          ValueError: features of more than one modality are given.
        """
        del present  # Refused beforehand.
        if len(features) != 1:
            raise ValueError(
                f"aug trains one modality at a time, got features of {sorted(features)}"
            )
        ((m, logits),) = self._classify(params, features, state).items()
        loss = _boosted_loss(logits, labels, state.layers[m], self.residual, weights)
        confidence = jnp.sum(jnp.exp(_log_likelihood(logits.total, labels)))
        return Outcome(loss, {m: loss}, logits.total, observed=confidence)

    def advance(self, state: AugState, observed: Any) -> AugState:
        """The state after a step: confidences add up, and at times the weaker modality grows."""
        names = self._in_order(state.layers)
        step = optax.safe_increment(state.step)
        sums = jnp.stack([state.confidence[m] + observed[m] for m in names])
        epoch, ends = step // self.steps_per_epoch, step % self.steps_per_epoch == 0
        due = ends & ((epoch == 1) | (epoch % self.period == 0))
        if self.steps is not None:
            due &= step < self.steps
        weakest = jnp.argmin(sums)
        first, second = jnp.sort(jnp.stack([weakest, jnp.argmax(sums)]))
        apart = jnp.abs(sums[first] - sums[second]) > self.band * sums[second]
        grows = (jnp.arange(len(names)) == weakest) & due & apart
        layers = jnp.minimum(
            jnp.stack([state.layers[m] for m in names]) + grows.astype(jnp.int32), self.capacity
        )
        sums = jnp.where(ends, 0, sums)
        return AugState(step, *(dict(zip(names, each, strict=True)) for each in (sums, layers)))

    def predict(
        self, network: Network, params: optax.Params, features: Features, state: AugState
    ) -> Logits:
        """``(Σ w_m z_m [B, C], {m: z_m [B, C]})``."""
        del network
        total = {m: z.total for m, z in self._classify(params, features, state).items()}
        if len(total) == 2:
            first, second = (total[m] for m in self._in_order(total))
            return self.merge * first + (1 - self.merge) * second, total
        return jnp.mean(jnp.stack(list(total.values())), axis=0), total

    def _in_order(self, modalities: Collection[str]) -> list[str]:
        known = sorted(modalities)
        if self.order is None:
            return known
        names = [name.strip() for name in self.order.split("+")]
        if sorted(names) != known:
            raise ValueError(
                f"order={self.order} must name each of the modalities once, with + between them:"
                f" {'+'.join(known)}, or another order of these"
            )
        return names

    def _classify(
        self, params: optax.Params, features: Features, state: AugState
    ) -> dict[str, AugLogits]:
        return {
            m: classify(params["method"], m, features[m], state.layers[m]) for m in sorted(features)
        }


def _boosted_loss(
    logits: AugLogits,
    labels: jax.Array,
    layers: jax.Array,
    residual: float,
    weights: jax.Array | None,
) -> jax.Array:
    def mean(terms: jax.Array) -> jax.Array:
        if weights is None:
            return jnp.mean(terms)
        return WeightedMean(jnp.sum(weights.astype(terms.dtype) * terms), jnp.sum(weights)).value()

    total, previous, added = (_log_likelihood(z, labels) for z in logits)
    explained = jax.lax.stop_gradient(jnp.exp(previous))
    plain = -mean(total)
    boosted = plain - mean(previous) - mean((1 - residual * explained) * added)
    return jnp.where(layers > 0, boosted, plain)


def _log_likelihood(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """``log softmax(z_i)[y_i]``, ``[B]``, in float32 or wider."""
    wide = jax.nn.log_softmax(logits.astype(accumulation_dtype(logits)))
    return jnp.take_along_axis(wide, labels[:, None], axis=-1)[:, 0]


@dataclasses.dataclass(frozen=True)
class AugOptions(Options):
    """Options of the method ``aug``.

    Attributes:
      hidden: the width of every layer between features and the shared head.
      residual: λ in [0, 1], how much of what earlier layers explain the last need not.
      merge: the weight in [0, 1] of the first modality in the prediction, of two.
      order: which modality is the first, as ``video+audio``; the alphabet's when ``none``.
      period: epochs between two comparisons of the modalities; the first epoch has one as well.
      band: how far the ratio of confidences may be from 1 before the weaker modality grows.
      max_layers: the most layers that a modality may be given.
    """

    hidden: int = option(256, "[1, inf)")
    residual: float = option(0.5, "[0, 1]")
    merge: float = option(0.4, "[0, 1]")
    order: str | None = None
    period: int = option(20, "[1, inf)")
    band: float = option(0.01, "[0, inf)")
    max_layers: int = option(10, "[1, inf)")


AUG = register(
    Method(
        name="aug",
        summary="modalities in turn through one head; boosting grows the weaker one's classifier",
        options=AugOptions,
        objective=lambda options, context: call(AugObjective, options, context),
        schedule=lambda options: Schedule(by_modality=True),
        title=titled("AUG"),
        reports={"layers": "n, the layers that the classifier was given beside its first"},
        search={
            "residual": Uniform(0.1, 1.0),
            "merge": Uniform(0.2, 0.8),
            "period": Integers(1, 40),
        },
    )
)
