"""One method on one problem: its network, what it minimises, and in which order."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.collectives import any_of, average
from masam_jax.core.gradients import multimodal_value_and_grad
from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.random_keys import fold_raw, typed_key
from masam_jax.data import hold_out
from masam_jax.data.batch import Batch
from masam_jax.methods import BoundMethod, Context, Objective, Outcome, Schedule
from masam_jax.methods.method import GradientKind
from masam_jax.methods.objective import NEEDS_CLASSES
from masam_jax.models import LateFusionNetwork, batch_signals
from masam_jax.models.method_signals import CLASS_SIGNALS
from masam_jax.training import key_streams
from masam_jax.training.batches import TrainingBatches
from masam_jax.training.dominance import count_dominance
from masam_jax.training.gradient_norms import gradient_norms
from masam_jax.training.optimizer import make_optimizer
from masam_jax.training.own_network import takes_fusion
from masam_jax.training.problem import Problem

StepGradient = Callable[..., tuple[Any, Any, dict[str, Any]]]


class Observed(NamedTuple):
    """What a batch tells beside losses and gradients.

    Attributes:
      accuracy: share of the batch that the logits get right (of several labels, of all of them);
        None of regression.
      by_objective: what the objective's state moves on.
      signals: what the method asked for of the batch.
      statistics: running statistics ``{m: …}`` of the encoders after the batch.
      gradient_norms: ``{"fusion_gradient_norm": {m: scalar}, "unimodal_gradient_norm": {m:
        scalar}}`` at the clean point, of encoders; without those that nobody asked for.
    """

    accuracy: jax.Array | None
    by_objective: Any
    signals: dict[str, Any]
    statistics: dict[str, Any]
    gradient_norms: dict[str, dict[str, jax.Array]]


class StepInputs(NamedTuple):
    """What a step of one seed knows beside its parameters.

    Attributes:
      batch: the batch as the network sees it.
      statistics: running statistics ``{m: …}`` of the encoders before it.
      key: PRNG key that dropout draws from, at the clean and at the perturbed point.
      state: the objective's.
      class_weights: of the classes in the losses, float32[C]; None for equal ones.
    """

    batch: Batch
    statistics: dict[str, Any]
    key: jax.Array
    state: Any
    class_weights: jax.Array | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A method's parts, put together with the network and the data of a problem.

    Attributes:
      problem: data, splits, and what all methods share.
      method: the method with its options.
    """

    problem: Problem
    method: BoundMethod

    @property
    def fusion(self) -> str:
        """The network's fusion head: the method's own, or the experiment's."""
        return self.method.fusion or self.problem.experiment.model.fusion

    @property
    def network(self) -> LateFusionNetwork:
        """The network."""
        return self.problem.network(self.fusion)

    @property
    def context(self) -> Context:
        """The training that the method takes part in."""
        return Context(self.steps_per_epoch, self.steps)

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        config = self.problem.experiment.optimization
        return config.steps if config.epochs is None else config.epochs * self.steps_per_epoch

    @property
    def evaluate_every(self) -> int:
        """Steps between two evaluations."""
        return self.problem.experiment.evaluation.evaluate_every or self.steps_per_epoch

    @property
    def checkpoint_every(self) -> int:
        """Steps between two checkpoints."""
        return self.problem.experiment.evaluation.checkpoint_every or self.steps_per_epoch

    @functools.cached_property
    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """The method's transformation before the optimizer, with its dominance counted.

        Raises:
          ValueError: (here, or in ``init``) the method's options do not fit the modalities.
        """
        labels, modalities = self.network.labels, self.problem.modalities
        optimizer = make_optimizer(
            self.problem.experiment.optimization,
            labels,
            modalities,
            self.steps,
            by_modality=self.schedule.by_modality,
        )
        chain = optax.chain(self.method.transformation(labels, self.context), optimizer)
        return count_dominance(optax.with_extra_args_support(chain), modalities)

    @functools.cached_property
    def objective(self) -> Objective:
        """What is minimised, and how it predicts."""
        return self.method.objective(self.context)

    @functools.cached_property
    def schedule(self) -> Schedule:
        """What a step, or an epoch, optimises."""
        return self.method.schedule

    @property
    def phases(self) -> tuple[str | None, ...]:
        """The updates of one step: of every modality in turn, or one of the whole network."""
        return self.problem.modalities if self.schedule.by_modality else (None,)

    @functools.cached_property
    def training_rows(self) -> dict[str, np.ndarray]:
        """Row indices ``[S, n]`` to ``"fit"``, and those ``"held_out"`` for the schedule's probes.

        Raises:
          ValueError: nothing would be left to fit, or to hold out.
        """
        problem, share = self.problem, self.schedule.held_out()
        seeds = problem.experiment.seeds.values
        parts = [
            hold_out(problem.data.labels, split.train, share=share, seed=seed)
            for split, seed in zip(problem.splits, seeds, strict=True)
        ]
        fit, held_out = (np.stack(rows) for rows in zip(*parts, strict=True))
        if share and not held_out.size:
            raise ValueError(f"{fit.shape[1]} training samples are too few to hold out {share}")
        return {"fit": fit, "held_out": held_out}

    @functools.cached_property
    def row_batches(self) -> grain.MapDataset:
        """Element t holds the row indices of step t, int32 ``[S, B]``."""
        if not self.schedule.held_out():
            return self.problem.batches
        return self.problem.order(self.training_rows["fit"], self.batch_size)

    @functools.cached_property
    def batches(self) -> TrainingBatches:
        """The batches, by step."""
        return TrainingBatches(self.problem, self.row_batches)

    @property
    def batch_size(self) -> int:
        """The experiment's; less where fewer samples are left, as devices that share it divide.

        Raises:
          ValueError: fewer samples are left than devices share a batch.
        """
        size, left = self.problem.experiment.optimization.batch_size, self._fitted
        if size <= left:
            return size
        shares = self.problem.placement.batch_shares
        if left < shares:
            raise ValueError(f"{left} samples to fit cannot be shared by {shares} devices")
        return left - left % shares

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every sample to fit is seen once, rounded up."""
        return -(-self._fitted // self.batch_size)

    @property
    def period(self) -> int | None:
        """Steps between revisions of the objective's state."""
        return self.schedule.period(self.steps_per_epoch)

    @property
    def _fitted(self) -> int:
        return self.training_rows["fit"].shape[1]

    def extend(self, params: Any, key: jax.Array) -> Any:
        """The network's initial parameters with those that the objective adds, for one seed."""
        further = self.objective.init_params(
            self.network, typed_key(fold_raw(key, key_streams.METHOD_PARAMETERS))
        )
        return {**params, "method": further} if further else params

    def init_state(self, params: Any) -> Any:
        """The objective's state before the first step, for one seed."""
        return self.objective.init_state(self.network, params)

    def value_and_grad(
        self, phase: str | None = None, *, axis_name: str | None = None
    ) -> StepGradient:
        """``(params, StepInputs) -> (losses, grads, signals)``, of one seed.

        ``losses.aux`` is an `Observed`; its signals are among ``signals`` as well, and so are those
        of the objective's state, and ``present`` where samples may lack a modality.

        Args:
          phase: the only modality that takes part; None for all.
          axis_name: the axis of ``pmap`` over which the samples are split; None for none.
        """
        weight = self.method.loss_weight if phase is None else 0.0
        logged, part = self._logged_gradients(phase), self.method.alignment_part
        # Gradients that nobody reads need not be exact, and then low precision takes one pullback.
        reads = bool(logged) or len(self.method.cycle) > 1
        inner = multimodal_value_and_grad(
            self._late_fusion(self.network.modalities if phase is None else (phase,)),
            loss_weights=weight,
            has_aux=True,
            axis_name=axis_name,
            unimodal_gradients="auto" if reads else "difference",
            alignment_part=functools.partial(_one_in, part) if phase is None and part > 1 else 1,
        )

        def value_and_grad(params: Any, step: StepInputs) -> tuple[Any, Any, dict[str, Any]]:
            losses, grads, signals = inner(params, step)
            norms = gradient_norms(self.network.labels, params, signals, logged)
            accuracy = average(losses.aux.accuracy, axis_name)
            observed = losses.aux._replace(accuracy=accuracy, gradient_norms=norms)
            losses = losses._replace(aux=observed)
            present = {m: any_of(each, axis_name) for m, each in step.batch.present.items()}
            further: dict[str, Any] = {"present": present} if present else {}
            further |= self.objective.signals(step.state)
            return losses, grads, signals | losses.aux.signals | further

        return value_and_grad

    def _logged_gradients(self, phase: str | None) -> dict[GradientKind, tuple[str, ...]]:
        """Whose norms are logged of which gradients.

        Of those that the method reads, and of all if asked for. In a phase there is no fusion loss,
        and one modality.
        """
        asked = self.problem.experiment.evaluation.log_gradients
        modalities = self.network.modalities
        if phase is not None:
            return {"unimodal": (phase,)} if asked else {}
        kinds: tuple[GradientKind, ...] = ("fusion", "unimodal")
        return dict.fromkeys(kinds if asked else self.method.gradients, modalities)

    def predict(
        self, params: Any, statistics: Any, state: Any, inputs: Any
    ) -> tuple[jax.Array, dict[str, Any]]:
        """``(logits [B, C], {m: logits [B, C]})`` of one seed's parameters and statistics."""
        network = self.network.with_statistics(statistics)
        features = {m: network.encode(params, m, inputs[m]) for m in network.modalities}
        return self.objective.predict(network, params, features, state)

    def check(self) -> None:
        """Checks that the method fits the data.

        Raises:
          ValueError: it reads class probabilities, and the data are for regression; its objective
            does not take samples that lack a modality, and there are some;
            or features that are tokens; or it has a fusion head, and the user's network another; or
            too few samples are left to fit.
        """
        if self.problem.data.is_regression and set(self.method.signals) & set(CLASS_SIGNALS):
            raise ValueError(f"it {NEEDS_CLASSES}")
        _ = self.row_batches
        if self.problem.lacks("train") and not self.objective.takes_missing:
            raise ValueError("it does not take samples that lack a modality")
        own = self.problem.experiment.model.network
        if own is not None and self.method.fusion is not None and not takes_fusion(own):
            raise ValueError(
                f"it has a fusion head of its own, and so has network={own}; with a parameter"
                " fusion, the function lets methods choose"
            )
        architecture = self.problem.experiment.model.architecture
        if architecture != "late_fusion" and not self.objective.takes_tokens:
            raise ValueError(
                f"it needs vectors for features; architecture={architecture} has tokens"
            )

    def _late_fusion(self, modalities: tuple[str, ...]) -> LateFusion | Callable[..., Any]:
        """Encoders and objective; the encoders' running statistics travel beside the features."""
        network, frozen = self.network, self.problem.experiment.optimization.freeze
        encode_training = network.encode_training
        if self.problem.experiment.model.remat:
            encode_training = jax.checkpoint(encode_training, static_argnums=1)

        def encode(modality: str, params: Any, step: StepInputs) -> Any:
            if modality in frozen:
                predicting = network.with_statistics(step.statistics)
                features = predicting.encode(params, modality, step.batch.inputs[modality])
                return {"features": jax.lax.stop_gradient(features), "statistics": {}}
            features, statistics = encode_training(
                params, modality, step.batch.inputs[modality], step.statistics, step.key
            )
            # Not differentiated: only what the clean pass returns is kept.
            return {"features": features, "statistics": jax.lax.stop_gradient(statistics)}

        encoders = {m: functools.partial(encode, m) for m in modalities}
        fusion = LateFusion(encoders=encoders, objective=self._losses)
        # A phase has one encoder, and nothing that a second pass could leave out.
        return fusion if modalities == network.modalities else fusion.__call__

    def _losses(
        self, params: Any, encoded: dict[str, Any], step: StepInputs
    ) -> tuple[Any, Any, Observed]:
        inputs, present, labels, _ = step.batch
        features = {m: each["features"] for m, each in encoded.items()}
        further: dict[str, Any] = {"present": present} if present else {}
        if step.class_weights is not None:
            further["weights"] = step.class_weights[labels]
        outcome: Outcome = self.objective.losses(
            self.network, params, features, labels, step.state, **further
        )
        network = self.network.with_statistics(step.statistics)
        observed = Observed(
            accuracy=None if network.is_regression else jnp.mean(hits(outcome.logits, labels)),
            by_objective=outcome.observed,
            signals=batch_signals(self.method.signals, network, params, features, inputs, labels),
            statistics=step.statistics
            | {m: each["statistics"] for m, each in encoded.items() if each["statistics"]},
            gradient_norms={},  # Known after the pass backwards.
        )
        return outcome.fusion, outcome.unimodal, observed


def _one_in(count: int, args: tuple[StepInputs]) -> tuple[StepInputs]:
    """Every ``count``-th sample of the batch, with statistics and key of the whole."""
    (step,) = args
    return (step._replace(batch=jax.tree.map(lambda x: x[::count], step.batch)),)


def hits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Float32 ``[B]`` or ``[B, K]``, 1 where the classes or labels are those of the logits."""
    if labels.ndim == logits.ndim:
        return ((logits >= 0) == (labels > 0)).astype(jnp.float32)
    return (jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels).astype(jnp.float32)
