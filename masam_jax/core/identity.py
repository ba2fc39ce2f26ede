"""Which functions are the same: those that were made of the same parts."""

import enum
import functools
import types
from collections.abc import Hashable
from typing import Any

import jax

from masam_jax.core.late_fusion import LateFusion


def made_of(value: Any) -> Hashable:
    """What ``value`` is compared by, where it is a static part of a pytree.

    A `LateFusion` is its encoders and objective, a ``functools.partial`` its function and its
    arguments; numbers, strings and containers are their values, and so is an object with an
    equality of its own that can be hashed. Other functions are compared as ``jax.jit`` does: one
    that is defined again is another, a method belongs to its instance. An object that is none of
    these may have changed between two looks at it, and equals nothing.
    """
    if isinstance(value, LateFusion):
        encoders = tuple((m, made_of(encoder)) for m, encoder in value.encoders.items())
        return LateFusion, encoders, made_of(value.objective), value.check_encoders
    if isinstance(value, functools.partial):
        words = tuple((name, made_of(value.keywords[name])) for name in sorted(value.keywords))
        return type(value), made_of(value.func), made_of(value.args), words
    if isinstance(value, types.MethodType):
        instance = value.__self__
        of_instance = made_of(instance) if isinstance(instance, LateFusion) else _Itself(instance)
        return types.MethodType, made_of(value.__func__), of_instance
    if type(value) in (tuple, list):
        return type(value), tuple(made_of(each) for each in value)
    if type(value) is dict:
        return dict, tuple((made_of(key), made_of(each)) for key, each in value.items())
    if type(value) in (bool, int, float, complex):
        return type(value), repr(value)  # True is 1 and -0.0 is 0.0, but their programs differ
    if _compares_by_value(value):
        return type(value), value
    fixed = value is None or callable(value)
    fixed |= isinstance(value, jax.Array | types.ModuleType | enum.Enum)
    return _Itself(value if fixed else object())


def _compares_by_value(value: Any) -> bool:
    of_type: Any = type(value).__hash__
    if isinstance(value, jax.Array) or of_type is object.__hash__:
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _Itself:
    """Equal to another of the same object, which it keeps alive."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
