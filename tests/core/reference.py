"""MASAM and SAM in plain float64 NumPy, on the hand-written gradients of ``reference_network``.

Written from the equations alone and shares no code with ``masam_jax``: it is what the library is
compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tests.core.reference_network import (
    Array,
    Batch,
    Key,
    Parameters,
    feature_gradients,
    fusion_value_and_gradient,
    modalities_of,
    unimodal_value_and_gradient,
)


class Record(NamedTuple):
    """What one step decided, per modality; those that are absent have zeros."""

    present: tuple[str, ...]
    losses: dict[str, float]
    fusion_loss: float
    average: dict[str, float]
    decay: dict[str, float]
    alignment: dict[str, float]
    score: dict[str, float]
    perturbed: tuple[str, ...]
    perturbation: Parameters


@dataclass
class Momentum:
    """``trace = g + decay · trace``; update ``−lr · trace``."""

    learning_rate: float
    decay: float = 0.9
    trace: Parameters = field(default_factory=dict)

    def __call__(self, gradient: Parameters) -> Parameters:
        for key, g in gradient.items():
            self.trace[key] = g + self.decay * self.trace.get(key, np.zeros_like(g))
        return {key: -self.learning_rate * self.trace[key] for key in gradient}


@dataclass
class Adam:
    """Bias-corrected Adam, ε outside the root."""

    learning_rate: float
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    first: Parameters = field(default_factory=dict)
    second: Parameters = field(default_factory=dict)
    count: int = 0

    def __call__(self, gradient: Parameters) -> Parameters:
        self.count += 1
        update = {}
        for key, g in gradient.items():
            zero = np.zeros_like(g)
            self.first[key] = self.b1 * self.first.get(key, zero) + (1 - self.b1) * g
            self.second[key] = self.b2 * self.second.get(key, zero) + (1 - self.b2) * g**2
            first = self.first[key] / (1 - self.b1**self.count)
            second = self.second[key] / (1 - self.b2**self.count)
            update[key] = -self.learning_rate * first / (np.sqrt(second) + self.epsilon)
        return update


Base = Callable[[Parameters], Parameters]


def _total_gradient(
    fusion: Parameters, unimodal: Mapping[str, Parameters], weights: Mapping[str, float]
) -> Parameters:
    return {
        key: g + sum(weights[m] * unimodal[m][key] for m in unimodal) for key, g in fusion.items()
    }


def _shifted(parameters: Parameters, perturbation: Parameters) -> Parameters:
    return {
        key: value + perturbation[key] if key in perturbation else value
        for key, value in parameters.items()
    }


@dataclass
class MasamReference:
    """The rule, one step a call; the fields below ``base`` are the options, then the state."""

    base: Base
    rho: float | Callable[[int], float] = 0.3
    alpha: float = 0.8
    beta: float = 0.91
    weights: Mapping[str, float] | None = None
    select: str = "dominant"
    scale_by_alignment: bool = True
    alignment: str = "partition"
    clip_negative: bool = False
    radius: str = "absolute"
    eta: float = 0.01
    fit_exponent: float = 0.0
    correct_other: bool = False
    direction: str = "fusion"
    alignment_part: int = 1
    speed: str = "absolute"
    score_smoothing: float | None = None
    hysteresis: float | None = None
    temperature: float = 0.1
    held_out: Sequence[Mapping[str, float]] = ()
    t: int = 0
    average: dict[str, float] = field(default_factory=dict)
    previous: dict[str, float] = field(default_factory=dict)
    mean_squares: dict[str, float] = field(default_factory=dict)
    smoothed: dict[str, float] = field(default_factory=dict)
    last: str | None = None

    def step(
        self, parameters: Parameters, batch: Batch, present: Mapping[str, bool] | None = None
    ) -> tuple[Parameters, Record]:
        """Returns the next parameters and what was decided on the way."""
        names = modalities_of(parameters)
        weights = self.weights or dict.fromkeys(names, 1.0)
        here = [m for m in names if present is None or present[m]]
        fusion_loss, fusion = fusion_value_and_gradient(parameters, batch)
        losses, unimodal = {}, {}
        for m in names:
            losses[m], unimodal[m] = unimodal_value_and_gradient(parameters, batch, m)

        decay = {m: self._decay(m, losses[m]) if m in here else 0.0 for m in names}
        gamma = self._alignments(here, parameters, batch, fusion, unimodal)
        gamma = {m: gamma.get(m, 0.0) for m in names}
        score = self._scores(here, decay, gamma)
        perturbed = self._selected(here, score, losses)
        along = fusion
        if self.direction == "total":
            along = _total_gradient(fusion, unimodal, weights)
        perturbation: Parameters = {}
        for m in perturbed:
            factor = self._weight(m, here) * np.exp(-self.fit_exponent * max(losses[m], 0))
            moved = self._perturbation(m, parameters, along, gamma[m])
            perturbation |= {key: factor * epsilon for key, epsilon in moved.items()}

        _, fusion_there = fusion_value_and_gradient(_shifted(parameters, perturbation), batch)
        there = set(perturbation)
        if self.correct_other and perturbation:
            there |= {key for key in fusion if key[0] != "encoders"}
        gradient = _total_gradient(
            {key: (fusion_there if key in there else fusion)[key] for key in fusion},
            unimodal,
            weights,
        )
        self.t += 1
        record = Record(
            tuple(here),
            losses,
            fusion_loss,
            dict(self.average),
            decay,
            gamma,
            score,
            tuple(perturbed),
            perturbation,
        )
        return _shifted(parameters, self.base(gradient)), record

    def _decay(self, m: str, loss: float) -> float:
        """Moves MA_m with the present loss, and then measures last step's loss against it."""
        if m not in self.average:
            self.average[m], self.previous[m] = loss, loss
            return 0.0
        self.average[m] = self.beta * self.average[m] + (1 - self.beta) * loss
        decay = max(0.0, self.previous[m] - self.average[m])
        self.previous[m] = loss
        return decay

    def _alignments(
        self,
        names: list[str],
        parameters: Parameters,
        batch: Batch,
        fusion: Parameters,
        unimodal: Mapping[str, Parameters],
    ) -> dict[str, float]:
        if self.alignment_part > 1:
            some = slice(None, None, self.alignment_part)
            inputs = {m: x[some] for m, x in batch.inputs.items()}
            batch = Batch(inputs, batch.labels[some])
            _, fusion = fusion_value_and_gradient(parameters, batch)
            unimodal = {m: unimodal_value_and_gradient(parameters, batch, m)[1] for m in names}
        if self.alignment != "features":
            return {m: self._alignment(m, fusion, unimodal[m]) for m in names}
        of_fusion, of_unimodal = feature_gradients(parameters, batch)
        gamma = {m: _cosine(of_fusion[m], of_unimodal[m]) for m in names}
        return {m: max(0.0, g) if self.clip_negative else g for m, g in gamma.items()}

    def _alignment(self, m: str, fusion: Parameters, unimodal: Parameters) -> float:
        keys = [key for key in fusion if key[:2] == ("encoders", m)]
        if self.alignment == "per_tensor":
            gamma = float(np.mean([_cosine(fusion[key], unimodal[key]) for key in keys]))
        else:
            gamma = _cosine(
                np.concatenate([fusion[key].ravel() for key in keys]),
                np.concatenate([unimodal[key].ravel() for key in keys]),
            )
        return max(0.0, gamma) if self.clip_negative else gamma

    def _scores(
        self, here: list[str], decay: Mapping[str, float], gamma: Mapping[str, float]
    ) -> dict[str, float]:
        """APS; moves what the options of the choice keep."""
        speed, cosine = dict(decay), dict(gamma)
        if self.speed == "relative":
            speed |= {m: decay[m] / abs(self.average[m]) for m in here if self.average[m]}
        if self.speed == "standardized" and here:
            for name, term in (("decay", speed), ("alignment", cosine)):
                mean = float(np.mean([term[m] ** 2 for m in here]))
                if self.mean_squares.get(name, 0.0) > 0:
                    mean = self.beta * self.mean_squares[name] + (1 - self.beta) * mean
                self.mean_squares[name] = mean
                for m in here:
                    term[m] = term[m] / np.sqrt(mean) if mean > 0 else 0.0
        score = {m: self.alpha * speed[m] + (1 - self.alpha) * cosine[m] for m in decay}
        for m in here:
            kappa = (self.score_smoothing or 0.0) if m in self.smoothed else 0.0
            self.smoothed[m] = kappa * self.smoothed.get(m, 0.0) + (1 - kappa) * score[m]
        return score

    def _selected(
        self, here: list[str], score: Mapping[str, float], losses: Mapping[str, float]
    ) -> list[str]:
        if self.select in ("all", "soft"):
            return here
        if self.select == "held_out":
            here = [m for m in here if np.isfinite(self.held_out[self.t][m])]
        values = {
            "dominant": self.smoothed,
            "weakest": {m: -self.smoothed[m] for m in here},
            "lowest_loss": {m: -losses[m] for m in here},
            "highest_loss": losses,
            "held_out": {m: -self.held_out[self.t][m] for m in here if self.held_out},
        }.get(self.select)
        if values is None:
            return [m for m in here if m == self.select]
        best = max(here, key=lambda m: values[m]) if here else None
        if self.hysteresis is not None:
            if self.last in here and best is not None:
                leads = values[best] - values[self.last] > self.hysteresis
                best = best if leads else self.last
            self.last = best
        return [] if best is None else [best]

    def _weight(self, m: str, here: list[str]) -> float:
        if self.select != "soft":
            return 1.0
        largest = max(self.smoothed[other] for other in here)
        return float(np.exp((self.smoothed[m] - largest) / self.temperature))

    def _perturbation(
        self, m: str, parameters: Parameters, along: Parameters, gamma: float
    ) -> Parameters:
        keys = [key for key in along if key[:2] == ("encoders", m)]
        if self.radius == "filter":
            operator = {key: self._filter_norms(parameters[key]) for key in keys}
            length = (self.rho(self.t) if callable(self.rho) else self.rho) * (
                gamma if self.scale_by_alignment else 1.0
            )
            norm = _norm([operator[key] * along[key] for key in keys])
            return {key: length * operator[key] ** 2 * along[key] / norm for key in keys}
        norm = _norm([along[key] for key in keys])
        if not (norm > 0 and np.isfinite(norm)):
            return {key: np.zeros_like(along[key]) for key in keys}
        length = self.rho(self.t) if callable(self.rho) else self.rho
        if self.radius == "relative":
            length *= _norm([parameters[key] for key in keys])
        length *= gamma if self.scale_by_alignment else 1.0
        return {key: length * along[key] / norm for key in keys}

    def _filter_norms(self, parameter: Array) -> Array:
        """ASAM's T: the norm of each column of a matrix ``[in, out]``, |w| of a vector; plus η."""
        sizes = np.abs(parameter)
        if parameter.ndim == 2:
            columns = [np.linalg.norm(column) for column in parameter.T]
            sizes = np.tile(columns, (len(parameter), 1))
        return sizes + self.eta


@dataclass
class PeriodicReference(MasamReference):
    """The rule with a perturbed gradient and a γ every few steps, the correction reused between."""

    perturb_every: int = 1
    score_every: int | None = None
    reuse: str = "orthogonal"
    gamma: dict[str, float] = field(default_factory=dict)
    kept: Parameters = field(default_factory=dict)
    corrected: tuple[str, ...] = ()

    def step(
        self, parameters: Parameters, batch: Batch, present: Mapping[str, bool] | None = None
    ) -> tuple[Parameters, Record]:
        """As ``MasamReference.step``, all modalities present."""
        assert present is None
        names = modalities_of(parameters)
        weights = self.weights or dict.fromkeys(names, 1.0)
        fusion_loss, fusion = fusion_value_and_gradient(parameters, batch)
        losses, unimodal = {}, {}
        for m in names:
            losses[m], unimodal[m] = unimodal_value_and_gradient(parameters, batch, m)
        total = _total_gradient(fusion, unimodal, weights)
        if self.t % (self.score_every or self.perturb_every) == 0:
            self.gamma = self._alignments(names, parameters, batch, fusion, unimodal)
        decay = {m: self._decay(m, losses[m]) for m in names}
        score = self._scores(names, decay, self.gamma)
        if self.t % self.perturb_every == 0:
            perturbed = tuple(self._selected(names, score, losses))
            perturbation: Parameters = {}
            for m in perturbed:
                factor = self._weight(m, names)
                moved = self._perturbation(m, parameters, fusion, self.gamma[m])
                perturbation |= {key: factor * epsilon for key, epsilon in moved.items()}
            _, there = fusion_value_and_gradient(_shifted(parameters, perturbation), batch)
            keys = set(perturbation)
            if self.correct_other:
                keys |= {key for key in fusion if key[0] != "encoders"}
            correction = {key: there[key] - fusion[key] for key in keys}
            reuses = self.reuse in ("orthogonal", "whole")
            self.kept, self.corrected = {}, perturbed if reuses else ()
            for part in self._parts(total):
                mine = [key for key in part if key in correction]
                if reuses and mine:
                    self.kept |= self._component(mine, part, correction, total)
            if self.reuse == "lazy":
                correction = {key: self.perturb_every * c for key, c in correction.items()}
        else:
            perturbed, perturbation = self.corrected, {}
            correction = {}
            for part in self._parts(total):
                length = _norm([total[key] for key in part])
                correction |= {key: length * self.kept[key] for key in part if key in self.kept}
        self.t += 1
        gradient = {key: g + correction.get(key, 0.0) for key, g in total.items()}
        record = Record(
            tuple(names),
            losses,
            fusion_loss,
            dict(self.average),
            decay,
            dict(self.gamma),
            score,
            perturbed,
            perturbation,
        )
        return _shifted(parameters, self.base(gradient)), record

    def _parts(self, total: Parameters) -> list[list[Key]]:
        """The keys of each encoder, and all others."""
        owners = {key: key[1] if key[0] == "encoders" else "" for key in total}
        return [[k for k in total if owners[k] == owner] for owner in sorted(set(owners.values()))]

    def _component(
        self, mine: list[Key], part: list[Key], correction: Parameters, total: Parameters
    ) -> Parameters:
        length = _norm([total[key] for key in part])
        share = 0.0
        if self.reuse == "orthogonal":
            share = sum(float((correction[k] * total[k]).sum()) for k in mine) / length**2
        return {key: (correction[key] - share * total[key]) / length for key in mine}


def _norm(arrays: list[Array]) -> float:
    return float(np.sqrt(sum((array**2).sum() for array in arrays)))


def _cosine(left: Array, right: Array) -> float:
    product = np.linalg.norm(left) * np.linalg.norm(right)
    if not (product > 0 and np.isfinite(product)):
        return 0.0
    return float((left * right).sum() / product)


@dataclass
class SamReference:
    """SAM on the total loss: the gradient at θ + ρ ∇L_total / ‖∇L_total‖₂, all parameters moved."""

    base: Base
    rho: float | Callable[[int], float] = 0.05
    weights: Mapping[str, float] | None = None
    t: int = 0

    def _gradient(self, parameters: Parameters, batch: Batch) -> Parameters:
        names = modalities_of(parameters)
        return _total_gradient(
            fusion_value_and_gradient(parameters, batch)[1],
            {m: unimodal_value_and_gradient(parameters, batch, m)[1] for m in names},
            self.weights or dict.fromkeys(names, 1.0),
        )

    def step(self, parameters: Parameters, batch: Batch) -> Parameters:
        """Returns the next parameters."""
        gradient = self._gradient(parameters, batch)
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        rho = self.rho(self.t) if callable(self.rho) else self.rho
        self.t += 1
        perturbation = {key: rho * g / norm for key, g in gradient.items()}
        return _shifted(
            parameters, self.base(self._gradient(_shifted(parameters, perturbation), batch))
        )
