"""The training loop of both integrations: a chain of optax, and one jitted step."""

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console

from experiments.integrations.integration import Integration
from experiments.integrations.patients import Patients, make_patients
from masam_jax import Losses, masam, masam_metrics, multimodal_value_and_grad
from masam_jax.core.specs import check_number, check_radius

Step = Callable[..., tuple[Any, Any, Losses]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to train."""

    steps: int = 200
    """Optimizer steps."""
    batch_size: int = 32
    """Patients in a batch."""
    patients: int = 512
    """Patients to train on; as many others are tested on."""
    missing: float = 0.3
    """Probability that a patient has no image."""
    learning_rate: float = 3e-3
    """Of AdamW."""
    rho: float = 0.5
    """Radius of the perturbation; 0.5, 0.5 and 0.9 are published for MIMIC-IV."""
    alpha: float = 0.5
    """Weight of the learning speed in the score."""
    beta: float = 0.9
    """Smoothing of the unimodal losses' moving average."""
    seed: int = 0
    """Of parameters, patients, batches and dropout."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not 1 <= self.batch_size <= self.patients:
            raise ValueError(
                f"batch_size must be 1 to patients ({self.patients}), got {self.batch_size}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be 0 to 2**31 - 1, got {self.seed}")
        check_number("missing", self.missing, "[0, 1]")
        check_radius(self.rho)
        check_number("alpha", self.alpha, "[0, 1]")
        check_number("beta", self.beta, "[0, 1]")


class Trained(NamedTuple):
    """What training leaves behind.

    Attributes:
      params: the parameters.
      statistics: those of batch norm.
      losses: the total loss of each step.
      dominant: the dominant modality of each step, None where there was none.
    """

    params: Any
    statistics: Any
    losses: list[float]
    dominant: list[str | None]


def make_step(integration: Integration, tx: optax.GradientTransformationExtraArgs) -> Step:
    """A jitted ``(params, opt_state, patients, key, statistics) -> (params, opt_state, losses)``.

    The new statistics are ``losses.aux``.
    """
    value_and_grad = multimodal_value_and_grad(
        integration.loss, loss_weights=integration.loss_weights, has_aux=True
    )

    @jax.jit
    def step(
        params: Any, opt_state: Any, patients: Patients, key: jax.Array, statistics: Any
    ) -> tuple[Any, Any, Losses]:
        losses, grads, signals = value_and_grad(params, patients, key, statistics)
        present = {"cxr": patients.has_image.any()}
        updates, opt_state = tx.update(grads, opt_state, params, present=present, **signals)
        return optax.apply_updates(params, updates), opt_state, losses

    return step


def train(integration: Integration, settings: Settings, console: Console) -> Trained:
    """Trains, and prints ten lines of progress."""
    tx = optax.chain(
        masam(integration.labels, rho=settings.rho, alpha=settings.alpha, beta=settings.beta),
        optax.clip_by_global_norm(1.0),
        optax.adamw(settings.learning_rate),
    )
    patients = make_patients(settings.patients, missing=settings.missing, seed=settings.seed)
    step = make_step(integration, tx)
    params, statistics = integration.params, integration.statistics
    opt_state = tx.init(params)
    draw, key = np.random.default_rng(settings.seed), jax.random.key(settings.seed)
    losses: list[float] = []
    dominant: list[str | None] = []
    for i in range(settings.steps):
        rows = draw.choice(settings.patients, settings.batch_size, replace=False)
        batch = Patients(*(array[rows] for array in patients))
        dropout_key = jax.random.fold_in(key, i)
        params, opt_state, found = step(params, opt_state, batch, dropout_key, statistics)
        statistics = found.aux
        losses.append(float(found.total))
        dominant.append(masam_metrics(opt_state)["dominant"])
        if (i + 1) % max(1, settings.steps // 10) == 0:
            each = ", ".join(f"{m} {float(loss):.3f}" for m, loss in found.unimodal.items())
            console.print(
                f"step {i + 1}: loss {losses[-1]:.3f} (fusion {float(found.fusion):.3f}, {each}),"
                f" dominant: {dominant[-1]}"
            )
    return Trained(params, statistics, losses, dominant)


def accuracy(integration: Integration, trained: Trained, patients: Patients) -> float:
    """The share of the patients' conditions that the fusion head gets right."""
    logits = jax.jit(integration.predict)(trained.params, trained.statistics, patients)
    return float(jnp.mean((logits > 0) == (patients.targets > 0)))


def main(integrate: Callable[[int], Integration], settings: Settings) -> Trained:
    """Trains one network, and prints how it went."""
    console = Console(highlight=False)
    integration = integrate(settings.seed)
    trained = train(integration, settings, console)
    shares = collections.Counter(trained.dominant)
    parts = ", ".join(f"{m} {count / settings.steps:.0%}" for m, count in shares.most_common())
    console.print(f"dominant: {parts} of the steps")
    for missing, what in ((0.0, "with images"), (1.0, "without images")):
        others = make_patients(settings.patients, missing=missing, seed=settings.seed + 1)
        share = accuracy(integration, trained, others)
        console.print(f"accuracy on other patients {what}: {share:.1%} (guessing: 50%)")
    return trained
