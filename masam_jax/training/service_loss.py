"""What a process does when JAX's coordination service goes, with process 0 that offers it.

JAX aborts then, with a page of C++, and from a thread of its own: nothing in Python can forestall
it. The client takes a function to call instead, but jaxlib cannot convert its argument, so that
this ends in ``std::terminate``, whose handler can be set. Where a later jaxlib converts it, the
function itself is called. Either way the process ends with our words.
"""

import contextlib
import ctypes
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

# Private, and without types.
_lib: Any = importlib.import_module("jax._src.lib")
# What C calls must outlive every call.
_kept: list[Any] = []


@contextlib.contextmanager
def lost_service_calls(function: Callable[[], object]) -> Iterator[None]:
    """A client that is made while this is entered calls a function where the service is lost.

    Args:
      function: ends the process, from any thread.
    """
    make = _lib._jax.get_distributed_runtime_client
    _lib._jax.get_distributed_runtime_client = functools.partial(
        make, missed_heartbeat_callback=lambda status: function()
    )
    _set_terminate(function)
    try:
        yield
    finally:
        _lib._jax.get_distributed_runtime_client = make


def _set_terminate(function: Callable[[], object]) -> None:
    """Calls a function in the place of C++'s own words where an exception is not caught."""
    handler = ctypes.CFUNCTYPE(None)(function)
    try:
        set_terminate = ctypes.CDLL("libstdc++.so.6")["_ZSt13set_terminatePFvvE"]
    except (AttributeError, OSError):  # Another system's C++: it aborts in its own words.
        return
    _kept.append(handler)
    set_terminate.restype = ctypes.c_void_p
    set_terminate(handler)
