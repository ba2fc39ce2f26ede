"""The options of a method that ``masam tune`` varies, and how a choice of them is written."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from masam_jax.methods import (
    BoundMethod,
    Choice,
    Integers,
    LogUniform,
    Search,
    Uniform,
)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Where to look for the options of one method.

    Attributes:
      method: the method as asked for; what its specification fixes stays as it is.
      options: where to look for each of the others.
    """

    method: BoundMethod
    options: Mapping[str, Search]

    @property
    def defaults(self) -> dict[str, Any]:
        """Default values of the options, but for those that lie outside of the search."""
        values = {name: getattr(self.method.options, name) for name in self.options}
        return {name: v for name, v in values.items() if _contains(self.options[name], v)}

    def bind(self, values: Mapping[str, Any]) -> BoundMethod:
        """The method with these values; numbers get three significant digits.

        Raises:
          ValueError: the method does not accept them together.
        """
        tidy = {name: self._tidy(name, value) for name, value in values.items()}
        options = dataclasses.replace(self.method.options, **tidy)
        return dataclasses.replace(self.method, options=options)

    def describe(self) -> dict[str, Any]:
        """The ranges, for JSON."""
        return {
            name: {"kind": type(search).__name__, **dataclasses.asdict(search)}
            for name, search in self.options.items()
        }

    def _tidy(self, name: str, value: Any) -> Any:
        search = self.options[name]
        if isinstance(search, LogUniform | Uniform):
            # Rounding must not leave the range.
            return min(max(float(f"{value:.3g}"), search.low), search.high)
        return value


def search_space(method: BoundMethod) -> SearchSpace:
    """The search space of a method; the options that its specification named are not searched."""
    searched = {name: where for name, where in method.search.items() if name not in method.named}
    return SearchSpace(method, searched)


def _contains(search: Search, value: Any) -> bool:
    if isinstance(search, Choice):
        return value in search.values
    if isinstance(search, Integers | LogUniform | Uniform):
        return search.low <= value <= search.high
    raise AssertionError(f"unknown search {search}")
