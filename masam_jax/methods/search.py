"""The ranges in which ``masam tune`` looks for a method's options."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """A positive number whose logarithm is uniform between those of ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"expected 0 < low < high, got low={self.low}, high={self.high}")


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A number, uniform between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got low={self.low}, high={self.high}")


@dataclasses.dataclass(frozen=True)
class Integers:
    """An integer from ``low`` to ``high``, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got low={self.low}, high={self.high}")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of ``values``."""

    values: tuple[bool | float | int | str, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise ValueError(f"expected at least two values to choose from, got {self.values}")


Search = LogUniform | Uniform | Integers | Choice
