"""InfoReg in plain float64 NumPy, from the paper's rule, an epoch's arithmetic at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
Encoder = list[Array]


@dataclass
class InfoRegReference:
    """The rule, one step a call; the fields below ``history`` are the state.

    ``traces`` holds the traces of all epochs, and ``start`` the encoders at the epoch's first step.
    """

    steps_per_epoch: int
    beta: Mapping[str, float]
    threshold: float = 0.05
    history: int = 10
    traces: dict[str, list[float]] = field(default_factory=dict)
    start: dict[str, Encoder] = field(default_factory=dict)
    seen: list[dict[str, float]] = field(default_factory=list)

    def window(self, m: str) -> bool:
        """Whether the epoch that follows those in ``traces`` is in the window of ``m``."""
        traces = self.traces.get(m, [])
        if not traces:
            return True
        # Epochs before the first have trace 0: the mean divides by the length in any case.
        new = sum(traces[-self.history :]) / self.history
        old = sum(traces[:-1][-self.history :]) / self.history
        return bool(new > 0 and (new - old) / new > self.threshold)

    def step(
        self, encoders: Mapping[str, Encoder], fusion: Mapping[str, Encoder], p: Mapping[str, float]
    ) -> dict[str, Encoder]:
        """What is added to each encoder's gradient; ``p`` is of the modalities that are present."""
        if not self.seen:
            self.start = {m: [leaf.copy() for leaf in leaves] for m, leaves in encoders.items()}
        added: dict[str, Any] = {m: [0 * x for x in leaves] for m, leaves in encoders.items()}
        first = max(p, key=lambda m: p[m], default="")
        rivals = [p[m] for m in p if m != first]
        if rivals and max(rivals) < p[first] and self.window(first):
            factor = self.beta[first] * np.exp(np.tanh(p[first] - np.mean(rivals)))
            added[first] = [
                factor * (x - start)
                for x, start in zip(encoders[first], self.start[first], strict=True)
            ]
        self.seen.append(
            {
                m: sum(float((g**2).mean()) for g in leaves) if m in p else 0.0
                for m, leaves in fusion.items()
            }
        )
        if len(self.seen) == self.steps_per_epoch:
            for m in encoders:
                mean = float(np.mean([step[m] for step in self.seen]))
                self.traces.setdefault(m, []).append(mean)
            self.seen = []
        return added
