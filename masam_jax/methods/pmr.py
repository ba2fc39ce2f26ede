"""PMR: draws the encoder that is behind to its class prototypes, and holds back the one ahead."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import Options, option
from masam_jax.methods.from_options import call, titled
from masam_jax.methods.method import Method
from masam_jax.methods.objective import Network, Objective, Outcome, Present, require_one_class
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import LogUniform, Uniform

Coefficients = Literal["ratio", "binary"]

# The logit of a class without a prototype; finite, so that no class at all gives no NaN.
_NEVER = -1e30


_REPORTS = {
    "prototype_score": "s, the mean probability of the right class by prototypes",
    "prototype_weight": "β, the weight of the prototypical cross-entropy",
    "entropy_weight": "γ, the weight of the entropy",
}


class PmrState(NamedTuple):
    """The state of `PmrObjective`, float32 or wider where not said otherwise.

    Attributes:
      prototypes: ``{m: [C, H_m]}``, each modality's prototypes.
      known: bool[C], the classes that have prototypes.
      sums: ``{m: [C, H_m]}``, sums of the features of each class in the current epoch.
      counts: ``[C]``, how many samples they are of.
      step: int32 scalar, steps taken.
      report: of the last step, see `method_report`: ``prototype_score``, s over the number of
        samples that count; ``prototype_weight`` and ``entropy_weight``, β and γ, 0 in steps without
        the term.
    """

    prototypes: dict[str, jax.Array]
    known: jax.Array
    sums: dict[str, jax.Array]
    counts: jax.Array
    step: jax.Array
    report: Report


@dataclasses.dataclass(frozen=True)
class PmrObjective(Objective):
    r"""Prototypical modal rebalance: two terms of the features, added to the fusion loss.

    With the prototypes $c_{m,k}$ of each modality m and class k, the probabilities
    $p_m(k|i) = \mathrm{softmax}_k(-\|f_{m,i} - c_{m,k}\|_2)$ of sample i, the score
    $s_m = \sum_i p_m(y_i|i)$ and the mean $\bar s_m$ of the other modalities' scores,

    $$
    \begin{aligned}
    L &= L_{fuse} + \alpha \sum_m \beta_m L^{PCE}_m - \mu\,1[e < E_r] \sum_m \gamma_m H_m \\
    \beta_m &= \mathrm{clip}(\bar s_m / s_m - 1, 0, 1), \qquad
    \gamma_m = \mathrm{clip}(s_m / \bar s_m - 1, 0, 1) \\
    L^{PCE}_m &= -\mathrm{mean}_i \log p_m(y_i|i), \qquad
    H_m = -\mathrm{mean}_i \sum_k p_m(k|i) \log p_m(k|i)
    \end{aligned}
    $$

    in epoch e = 0, 1, …. Scores are constants to the gradient, and so are prototypes. At the end
    of an epoch, with the mean $\bar f_{m,k}$ of the features of class k seen in it,
    $c_{m,k} \leftarrow \varepsilon c_{m,k} + (1 - \varepsilon) \bar f_{m,k}$; the first
    prototype of a class is its mean, and a class that an epoch did not see keeps its own.

    L is the `Outcome.fusion`, so that the fusion gradient has both terms. Before a class has
    prototypes its samples count in no score and in no $L^{PCE}$, and no $p_m$ is
    spread to it; so the first epoch trains $L_{fuse}$ alone.

    For M = 2 these are the paper's β and γ. Beyond, the others' mean takes the place of the other
    one: several modalities may be behind it, or ahead. A single modality gets neither term.

    Attributes:
      alpha: α, the weight of the prototypical cross-entropy.
      mu: μ, the weight of the entropy.
      momentum: ε, the share of the old prototypes in the new ones.
      steps_per_epoch: steps after which prototypes move.
      regularized_epochs: E_r, epochs in which the entropy counts, from the first.
      modulation_epochs: epochs in which any of it counts, from the first; 0 for all.
      coefficients: "ratio" for β and γ as above; "binary" for 1 wherever they are positive.

    Differences from the release:
      - β is 1 there for the modality of the lower score, here with ``coefficients="binary"``; the
        clipped ratio is the paper's equation 11.
      - It has no entropy term: ``mu=0`` here.
      - It takes prototypes from a pass of the current encoders over a tenth of the training
        samples between epochs, the first one before training. Here they are of all samples, of
        the features that the epoch's own steps saw; no further pass is needed, and nothing is
        known in the first epoch. (The paper's table 5 finds that a tenth is the least that does.)
      - A class that its tenth has not met gets NaN there.
      - Its terms end after epoch 100 of 150, as here by default; the paper's algorithm has no end,
        ``modulation_epochs=0`` here.
      - The gradient of its Euclidean distance is NaN at distance 0, and zero here.

    References:
      Yunfeng Fan, Wenchao Xu, Haozhao Wang, Junxiao Wang, Song Guo. PMR: Prototypical Modal
      Rebalance for Multimodal Learning. CVPR 2023: equations 7 to 9 (prototypes, score,
      cross-entropy), 10 and 11 (α, β, γ), 12 (momentum), 13 (entropy), algorithm 1. It gives
      neither ε, here the release's, nor E_r, "the first training few epochs".
      https://arxiv.org/abs/2211.07089
    """

    # A prototype would be one of what stands in for the missing.
    takes_missing: ClassVar[bool] = False
    takes_tokens: ClassVar[bool] = False

    alpha: float = 1.0
    mu: float = 0.01
    momentum: float = 0.2
    steps_per_epoch: int = 1
    regularized_epochs: int = 10
    modulation_epochs: int = 101
    coefficients: Coefficients = "ratio"

    def init_state(self, network: Network, params: optax.Params) -> PmrState:
        """No prototypes, nothing seen.

        Raises:
          ValueError: samples have several labels, of which there are no prototypes.
        """
        require_one_class(network, "pmr")
        dtype, classes = accumulation_dtype(params), network.num_classes

        def zeros() -> dict[str, jax.Array]:
            sizes = network.feature_sizes
            return {m: jnp.zeros((classes, sizes[m]), dtype) for m in network.modalities}

        return PmrState(
            prototypes=zeros(),
            known=jnp.zeros(classes, bool),
            sums=zeros(),
            counts=jnp.zeros(classes, dtype),
            step=jnp.zeros((), jnp.int32),
            report={
                name: {m: jnp.zeros((), dtype) for m in network.modalities} for name in _REPORTS
            },
        )

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: PmrState,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The losses of a batch, both terms within ``fusion``; see `Objective.losses`.

        Weights are those of the cross-entropies alone: prototypes know no number of samples.
        """
        plain = super().losses(
            network, params, features, labels, state, present=present, weights=weights
        )
        fusion, dtype = jnp.asarray(plain.fusion), state.counts.dtype
        wide = {m: features[m].astype(dtype) for m in network.modalities}
        terms, report = self._terms(wide, labels, state)
        members = jax.nn.one_hot(labels, network.num_classes, dtype=dtype)
        return plain._replace(
            fusion=fusion + terms.astype(fusion.dtype),
            observed={
                "sums": {m: members.T @ f for m, f in wide.items()},
                "counts": members.sum(axis=0),
                "report": report,
            },
        )

    def advance(self, state: PmrState, observed: Any) -> PmrState:
        """Counts the batch; at the end of an epoch, moves the prototypes of the classes it saw."""
        sums = {m: total + observed["sums"][m] for m, total in state.sums.items()}
        counts = state.counts + observed["counts"]
        step = state.step + 1
        ends = step % self.steps_per_epoch == 0
        moves = ends & (counts > 0)

        def move(prototype: jax.Array, total: jax.Array) -> jax.Array:
            mean = total / jnp.maximum(counts, 1)[:, None]
            blend = self.momentum * prototype + (1 - self.momentum) * mean
            blend = jnp.where(state.known[:, None], blend, mean)
            return jnp.where(moves[:, None], blend, prototype)

        return PmrState(
            prototypes={m: move(state.prototypes[m], sums[m]) for m in sums},
            known=state.known | moves,
            sums={m: jnp.where(ends, 0, total) for m, total in sums.items()},
            counts=jnp.where(ends, 0, counts),
            step=step,
            report=observed["report"],
        )

    def _terms(
        self, features: Mapping[str, jax.Array], labels: jax.Array, state: PmrState
    ) -> tuple[jax.Array, Report]:
        dtype, usable = state.counts.dtype, state.known[labels]
        log_p = {
            m: _log_probabilities(f, state.prototypes[m], state.known) for m, f in features.items()
        }
        own_class = {
            m: jnp.take_along_axis(each, labels[:, None], axis=-1)[:, 0]
            for m, each in log_p.items()
        }
        scores = {m: _sum_where(usable, jnp.exp(each)) for m, each in own_class.items()}
        usable_count = jnp.maximum(_sum_where(usable, jnp.ones(labels.shape, dtype)), 1)
        epoch = state.step // self.steps_per_epoch
        is_regularized = epoch < self.regularized_epochs
        entropy_weight = jnp.where(is_regularized, self.mu, 0).astype(dtype)
        active = jnp.any(state.known)
        if self.modulation_epochs:
            active &= epoch < self.modulation_epochs
        total = jnp.zeros((), dtype)
        report: Report = {name: {} for name in _REPORTS}
        for m in features:
            beta, gamma = jax.lax.stop_gradient(self._imbalance(m, scores))
            said = (
                scores[m] / usable_count,
                jnp.where(active, beta, 0),
                jnp.where(active & is_regularized, gamma, 0),
            )
            for name, value in zip(_REPORTS, said, strict=True):
                report[name][m] = value
            cross_entropy = -_sum_where(usable, own_class[m]) / usable_count
            entropy = -jnp.mean(jnp.sum(jnp.exp(log_p[m]) * log_p[m], axis=-1))
            total = total + self.alpha * beta * cross_entropy - entropy_weight * gamma * entropy
        return jnp.where(active, total, 0), report

    def _imbalance(self, m: str, scores: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """β and γ of one modality."""
        own, others = scores[m], [score for n, score in scores.items() if n != m]
        if not others:
            return jnp.zeros_like(own), jnp.zeros_like(own)
        mean = jnp.mean(jnp.stack(others))
        return self._excess(mean, own), self._excess(own, mean)

    def _excess(self, more: jax.Array, less: jax.Array) -> jax.Array:
        is_more = (more > less).astype(more.dtype)
        if self.coefficients == "binary":
            return is_more
        ratio = more / jnp.where(less > 0, less, 1)
        return jnp.where(less > 0, jnp.clip(ratio - 1, 0, 1), is_more)


def _log_probabilities(features: jax.Array, prototypes: jax.Array, known: jax.Array) -> jax.Array:
    """``log p(k|i)``, ``[B, C]``."""
    squares = jnp.sum((features[:, None, :] - prototypes[None]) ** 2, axis=-1)
    # The root has no gradient at zero, where features equal a prototype.
    apart = squares > 0
    distances = jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1)), 0)
    return jax.nn.log_softmax(jnp.where(known, -distances, _NEVER))


def _sum_where(mask: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(mask, values, 0))


@dataclasses.dataclass(frozen=True)
class PmrOptions(Options):
    """Options of the method ``pmr``.

    Attributes:
      alpha: α, the weight of the prototypical cross-entropy.
      mu: μ, the weight of the entropy.
      momentum: ε, the share of the old prototypes in the new ones.
      regularized_epochs: E_r, epochs in which the entropy counts, from the first.
      modulation_epochs: how many epochs have the two terms, from the first; 0 for all of them.
      coefficients: how β and γ are made of the ratio of scores, see `PmrObjective`.
      weight: λ, the weight of every unimodal loss in the total loss; 0, as in the paper, leaves
        unimodal heads untrained.
    """

    alpha: float = option(1.0, "[0, inf)", "α={}", always=True)
    mu: float = option(0.01, "[0, inf)", "μ={}", always=True)
    momentum: float = option(0.2, "[0, 1)", "ε={}")
    regularized_epochs: int = option(10, "[0, inf)", "entropy {} epochs")
    modulation_epochs: int = option(101, "[0, inf)", lambda epochs: f"{epochs or 'all'} epochs")
    coefficients: Coefficients = option("ratio", title="{}")
    weight: float = option(0.0, "[0, inf)", "λ={}")


PMR = register(
    Method(
        name="pmr",
        summary="draws the encoder that is behind to class prototypes of its features",
        options=PmrOptions,
        title=titled("PMR"),
        objective=lambda options, context: call(PmrObjective, options, context),
        loss_weight=lambda options: options.weight,
        reports=_REPORTS,
        search={
            "alpha": LogUniform(0.1, 10.0),
            "mu": LogUniform(1e-3, 0.1),
            "momentum": Uniform(0.0, 0.95),
        },
    )
)
