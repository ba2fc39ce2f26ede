"""A method with an option of every kind to search."""

import dataclasses
from typing import Literal

import pytest

from masam_jax.methods import Choice, Integers, LogUniform, Method, Uniform, registry


@dataclasses.dataclass(frozen=True)
class TunableOptions:
    rate: float = 0.1
    share: float = 0.5
    count: int = 3
    mode: Literal["slow", "fast"] = "slow"
    loud: bool = False
    weight: float = 1.0

    def __post_init__(self):
        if not 0 < self.rate < 10:
            raise ValueError(f"rate={self.rate} is out of range: expected 0 < rate < 10")


SEARCH = {
    "rate": LogUniform(0.0123456, 1.0),
    "share": Uniform(0.0, 1.0),
    "count": Integers(1, 9),
    "mode": Choice(("slow", "fast")),
    "loud": Choice((False, True)),
}


def make_method(**changes) -> Method:
    method = Method(
        name="tunable",
        summary="for tests",
        options=TunableOptions,
        title=lambda options: f"tunable {options.rate}",
        search=SEARCH,
    )
    return dataclasses.replace(method, **changes)


@pytest.fixture
def tunable(monkeypatch):
    """Registers the method for one test; called with changes, registers it with them."""

    def register(**changes):
        monkeypatch.setitem(registry._METHODS, "tunable", make_method(**changes))

    register()
    return register
