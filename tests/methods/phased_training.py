"""Training modality by modality with linear encoders, for tests of methods that do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax import multimodal_value_and_grad
from masam_jax.core.losses import SampleLoss, sample_cross_entropy
from masam_jax.methods import Objective
from masam_jax.training.by_partition import by_partition

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class LinearNetwork:
    """What an objective needs of a network: ``f_m = x_m W_m``, no heads of its own."""

    dimensions: Mapping[str, int]
    feature_sizes: dict[str, int]
    num_classes: int = 3
    multi_label: bool = False
    is_regression: bool = False

    @property
    def sample_loss(self) -> SampleLoss:
        return sample_cross_entropy

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.dimensions))

    def init(self, seed: int) -> dict[str, Any]:
        generator = np.random.default_rng(seed)
        return {
            m: {"kernel": 0.7 * generator.standard_normal((d, self.feature_sizes[m]))}
            for m, d in sorted(self.dimensions.items())
        }

    def fuse(self, params: Any, features: Any) -> jax.Array:
        raise AssertionError("the methods of these tests have heads of their own")

    def unimodal(self, params: Any, features: Any) -> dict[str, jax.Array]:
        raise AssertionError("the methods of these tests have heads of their own")


def labels_of(params: Any) -> Any:
    """A prefix: every encoder its modality's, the rest of the parameters ``other``."""
    return {
        "encoders": {m: m for m in params["encoders"]},
        **{group: "other" for group in params if group != "encoders"},
    }


class Training(NamedTuple):
    """Where training has come to."""

    params: Any
    opt_state: Any
    method_state: Any


def start(network: Any, objective: Objective, params: Any, tx: Any) -> Training:
    params = jax.tree.map(jnp.asarray, params)
    return Training(params, tx.init(params), objective.init_state(network, params))


def in_phases(
    tx: optax.GradientTransformation, base: optax.GradientTransformation, network: Any
) -> optax.GradientTransformationExtraArgs:
    """The method's transformation before a base optimizer that moves one modality at a time."""
    return optax.chain(tx, by_partition(base, labels_of, network.modalities))


def make_step(
    network: Any, objective: Objective, tx: optax.GradientTransformationExtraArgs
) -> Callable[..., Training]:
    """One update for each modality in turn, as the training loop does it."""

    def value_and_grad(phase: str) -> Any:
        def loss(params: Any, batch: Any, state: Any) -> Any:
            features = {phase: batch.inputs[phase] @ params["encoders"][phase]["kernel"]}
            outcome = objective.losses(network, params, features, batch.labels, state)
            means = {m: jnp.mean(f, axis=0) for m, f in features.items()}
            return outcome.fusion, outcome.unimodal, (outcome.observed, means)

        return multimodal_value_and_grad(loss, loss_weights=0.0, has_aux=True)

    @jax.jit
    def step(training: Training, batch: Any) -> Training:
        params, opt_state, state = training
        observed = {}
        for phase in network.modalities:
            losses, grads, signals = value_and_grad(phase)(params, batch, state)
            observed[phase], means = losses.aux
            updates, opt_state = tx.update(
                grads, opt_state, params, **signals, mean_features=means, phase=phase
            )
            params = optax.apply_updates(params, updates)
        return Training(params, opt_state, objective.advance(state, observed))

    return step


def softmax(z: Array) -> Array:
    exponentials = np.exp(z - z.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def assert_close(got: Any, want: Any, tolerance: float = 1e-8) -> None:
    chex.assert_trees_all_close(got, want, rtol=tolerance, atol=tolerance)
