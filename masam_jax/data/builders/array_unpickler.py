"""Reading of pickles that hold arrays, and nothing else: no code of the file's choice ever runs."""

from __future__ import annotations

import math
import mmap
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.data.builders.pickle_machine import MOST_COPIES, Admitted, PickleMachine, Spend

# Numbers, text and, within arrays, objects that themselves were admitted; no records, no dates.
_DTYPE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248]|[SU][1-9]\d{0,6}|O[48]?)")
_DEEPEST = 32
_LARGEST_SIDE = 2**31
_LARGEST_CHARACTER = 0x10FFFF


def load_arrays(path: Path) -> Any:
    """What a pickle holds, if that is data alone.

    Admitted are ``dict``, ``list``, ``tuple``, ``str``, ``bytes``, ``int``, ``float``, ``bool``,
    ``None`` and NumPy arrays and scalars of them, of protocols 0 to 5, from NumPy 1 and 2, and of
    Python 2, whose strings are read as Latin-1. ``pickle.load`` calls whatever a file names; here
    every name stands for a function of this module, which checks what it is given, and NumPy's
    own unpickling sees checked values alone. `PickleMachine` keeps time and memory in proportion
    to the file; keys of a dict are text and plain numbers.

    Args:
      path: the file.

    Returns:
      The object. Its arrays are read-only, and of a private subclass of ``numpy.ndarray`` that
      otherwise behaves like it.

    Raises:
      ValueError: the file names anything else, is damaged, is no pickle, or would unfold to far
        more than its size.
    """
    try:
        # Not read at once: beside what it holds, a file of gigabytes would be there again.
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return parse_arrays(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not a pickle of arrays: {error}") from error
    except Exception as error:
        # A damaged pickle ends in whatever error its first wrong byte leads to.
        raise ValueError(f"{path} is no pickle, or is damaged: {error!r}") from error


def parse_arrays(content: bytes | mmap.mmap) -> Any:
    """`load_arrays` of a file's content.

    Raises:
      pickle.UnpicklingError: it names anything else, or would unfold to far more than its size.
      Exception: of any kind, where it is damaged or no pickle.
    """
    found = PickleMachine(content, _find, (_Array, _Dtype)).run()
    _check_size(found, MOST_COPIES * len(content))
    return found


def _find(module: str, name: str) -> Admitted:
    try:
        return _ADMITTED[module, name]
    except KeyError:
        raise pickle.UnpicklingError(
            f"it refers to {_short(f'{module}.{name}')}; numbers, text, containers and NumPy arrays"
            " are admitted, nothing was run."
        ) from None


class _ArrayType(Admitted):
    """Stands for ``numpy.ndarray``, which is only ever handed to `_Reconstruct`."""

    __slots__ = ()


class _Array(np.ndarray):
    """An array; only its unpickling differs from its base."""

    def set_state(self, state: Any, spend: Spend) -> None:
        _need(type(state) is tuple and len(state) == 5, "state of an array")
        version, shape, box, is_fortran, values = state
        is_first = type(version) is int and version == 1
        _need(is_first and isinstance(box, _Dtype), "version or dtype of an array")
        _need(type(is_fortran) in (bool, int), "order of an array")
        count = _count(shape)
        if box.dtype.hasobject:
            _need(type(values) is list and len(values) == count, "number of objects in an array")
            spend(count * box.dtype.itemsize)
        else:
            values = _as_bytes(values, spend)
            _need(len(values) == count * box.dtype.itemsize, "number of bytes in an array")
            _check_content(values, box.dtype)
        checked: Any = (1, shape, box.dtype, bool(is_fortran), values)
        self.__setstate__(checked)
        # NumPy takes the bytes as they are, and Python shares short ones among all their users.
        self.flags.writeable = False


class _Dtype:
    """A dtype, of those that are admitted; its unpickling sets the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str) -> None:
        # Python 2 wrote the width of a pointer into it.
        self.dtype = np.dtype("O" if code.lstrip("<>|=").startswith("O") else code)

    def set_state(self, state: Any, spend: Spend) -> None:
        del spend
        _need(type(state) is tuple and len(state) >= 5, "state of a dtype")
        order, *structure = state[1:5]
        plain = [part is None for part in structure] == [True, True, True]
        _need(_is(order, "<", ">", "|", "=") and plain, "kind of dtype")
        self.dtype = self.dtype.newbyteorder(order)


class _MakeDtype(Admitted):
    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> _Dtype:
        # The others are alignment and copying.
        code = arguments[0] if arguments else None
        is_admitted = type(code) is str and _DTYPE.fullmatch(code) is not None
        _need(is_admitted, f"dtype {_short(code)!r}")
        return _Dtype(str(code))


class _Reconstruct(Admitted):
    """Stands for ``numpy.core.multiarray._reconstruct``: an array that is filled afterwards."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> _Array:
        kind, shape, _ = _of_number(3, arguments)
        _need(isinstance(kind, _ArrayType) and _is_zero(shape), "kind of array")
        return np.ndarray.__new__(_Array, (0,))


class _FromBuffer(Admitted):
    """Stands for ``numpy.core.numeric._frombuffer``, of protocol 5."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> _Array:
        values, box, shape, order = _of_number(4, arguments)
        _need(isinstance(box, _Dtype) and _is(order, "C", "F"), "dtype or order of an array")
        array = np.ndarray.__new__(_Array, (0,))
        if isinstance(values, bytearray):
            values = bytes(values)
        array.set_state((1, shape, box, order == "F", values), spend)
        return array


class _Scalar(Admitted):
    """Stands for ``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> Any:
        box, value = _of_number(2, arguments)
        _need(isinstance(box, _Dtype) and not box.dtype.hasobject, "dtype of a scalar")
        value = _as_bytes(value, spend)
        _need(len(value) == box.dtype.itemsize, "number of bytes in a scalar")
        _check_content(value, box.dtype)
        return np.frombuffer(value, box.dtype)[0]


class _Encode(Admitted):
    """Stands for ``_codecs.encode``, with which Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> bytes:
        text, encoding = _of_number(2, arguments)
        _need(type(text) is str and _is(encoding, "latin1"), "encoding of bytes")
        spend(len(text))
        return text.encode("latin1")


class _EmptyBytes(Admitted):
    """Stands for ``bytes``, with which Python 3 writes empty bytes for Python 2."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> bytes:
        _of_number(0, arguments)
        return b""


_ADMITTED: dict[tuple[str, str], Admitted] = {
    ("numpy", "ndarray"): _ArrayType(),
    ("numpy", "dtype"): _MakeDtype(),
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _Reconstruct()), ("scalar", _Scalar()))
    },
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _Encode(),
    ("__builtin__", "bytes"): _EmptyBytes(),
    ("builtins", "bytes"): _EmptyBytes(),
}


def _need(is_right: bool, what: str) -> None:
    if not is_right:
        raise pickle.UnpicklingError(f"the {what} is not one that is admitted.")


def _is(value: Any, *accepted: str) -> bool:
    """Whether it is one of some texts; what is compared may be anything."""
    return type(value) is str and value in accepted


def _is_zero(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) == 1 and type(shape[0]) is int and shape[0] == 0


def _of_number(count: int, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    _need(len(arguments) == count, "number of arguments")
    return arguments


def _short(value: Any) -> str:
    return value if type(value) is str and len(value) < 100 else f"a {type(value).__name__}"


def _count(shape: Any) -> int:
    is_shape = type(shape) is tuple and len(shape) <= _DEEPEST
    _need(
        is_shape and all(type(side) is int and 0 <= side < _LARGEST_SIDE for side in shape),
        "shape of an array",
    )
    return math.prod(shape)


def _as_bytes(values: Any, spend: Spend) -> bytes:
    """Bytes, which Python 2 wrote as a string, to be copied once."""
    _need(type(values) in (bytes, str), "content of an array")
    spend(len(values))
    return values.encode("latin1") if type(values) is str else values


def _check_content(values: bytes, dtype: np.dtype) -> None:
    """Refuses bytes that are no truth values, or no characters."""
    if dtype.kind == "b":
        _need(max(values, default=0) <= 1, "truth value of an array")
    elif dtype.kind == "U" and values:
        characters = np.frombuffer(values, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        _need(int(characters.max()) <= _LARGEST_CHARACTER, "text of an array")


def _check_size(found: Any, most: int) -> None:
    """Refuses what holds itself or other objects, is very deep, or unfolds to too many values."""
    _Weights(most).of(found, 0)


class _Weights:
    """How many values, or eight bytes of them, a tree unfolds to; those named twice count twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Weight and height of every container, by its identity.
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, value: Any, depth: int) -> tuple[int, int]:
        weight, height = self._known.get(id(value), (0, 0))
        # What holds itself is deeper than anything.
        if depth + height > _DEEPEST:
            raise pickle.UnpicklingError(f"it is nested more than {_DEEPEST} deep.")
        if weight:
            return weight, height
        if type(value) not in _CONTAINERS:
            _need(type(value) in _VALUES or isinstance(value, np.generic), type(value).__name__)
            return 1 + (len(value) // 8 if isinstance(value, str | bytes) else 0), 0
        weight = 1 + (value.nbytes // 8 if type(value) is _Array else 0)
        items = _items(value)
        # Most hold numbers alone, of which there may be hundreds of millions.
        if _NUMBERS.issuperset(map(type, items)):
            weight += len(items)
            items = ()
        for item in items:
            more, below = self.of(item, depth + 1)
            weight, height = weight + more, max(height, 1 + below)
            if weight > self._most:
                break
        if weight > self._most:
            raise pickle.UnpicklingError(
                "it repeats parts of itself, and unfolds to far more values."
            )
        self._known[id(value)] = weight, height
        return weight, height


_CONTAINERS = frozenset({dict, list, tuple, _Array})
_NUMBERS = frozenset({int, float, bool, type(None)})
_VALUES = _NUMBERS | {str, bytes}


def _items(value: Any) -> Any:
    if type(value) is dict:
        return [*value.keys(), *value.values()]
    if type(value) is _Array:
        return value.ravel().tolist() if value.dtype.hasobject else ()
    return value
