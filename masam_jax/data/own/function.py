"""``package.module:function`` that returns a `MultimodalData`."""

from __future__ import annotations

from masam_jax.core.user_code import call_function, import_function
from masam_jax.data.in_memory import MultimodalData


def data_of_function(place: str) -> MultimodalData:
    """Imports and calls a function without arguments; modules of the working directory count.

    Args:
      place: ``package.module:function``.

    Raises:
      ValueError: no such module or function, it fails, or returns anything else.
    """
    data = call_function(place, import_function(place))
    if not isinstance(data, MultimodalData):
        raise ValueError(
            f"{place} returned a {type(data).__name__};"
            " masam_jax.data.MultimodalData(features, labels) is needed"
        )
    return data
