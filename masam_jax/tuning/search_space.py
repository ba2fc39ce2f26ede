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
    parse_method,
)
from masam_jax.methods.options import write_value


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

    def spec(self, values: Mapping[str, Any]) -> str:
        """The canonical specification with these values; numbers get three significant digits.

        Raises:
          ValueError: the method does not accept them together.
        """
        items = [f"{name}={write_value(self._tidy(name, v))}" for name, v in values.items()]
        separator = "," if ":" in self.method.spec else ":"
        return parse_method(self.method.spec + separator + ",".join(items)).spec

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


def search_space(spec: str) -> SearchSpace:
    """The search space of a method.

    Args:
      spec: the method; the options that it names, at their defaults or not, are not searched.

    Raises:
      ValueError: as ``parse_method``.
    """
    method = parse_method(spec)
    items = spec.partition(":")[2].split(",")
    fixed = {item.partition("=")[0].strip() for item in items}
    searched = {name: s for name, s in method.method.search.items() if name not in fixed}
    return SearchSpace(method, searched)


def _contains(search: Search, value: Any) -> bool:
    if isinstance(search, Choice):
        return value in search.values
    if isinstance(search, Integers | LogUniform | Uniform):
        return search.low <= value <= search.high
    raise AssertionError(f"unknown search {search}")
