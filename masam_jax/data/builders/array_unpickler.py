"""Reading of pickles that hold arrays, and nothing else: no code of the file's choice ever runs."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

# Numbers, text and, within arrays, objects that themselves were admitted; no records, no dates.
_DTYPE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248]|[SU][1-9]\d{0,6}|O[48]?)")
_DEEPEST = 32
# A file may name one list in several places; what it then stands for must stay near its size.
_MOST_COPIES = 16


def load_arrays(path: Path) -> Any:
    """What a pickle holds, if that is data alone.

    Admitted are ``dict``, ``list``, ``tuple``, ``str``, ``bytes``, ``int``, ``float``, ``bool``,
    ``None`` and NumPy arrays and scalars of them, of protocols 0 to 5, from NumPy 1 and 2, and of
    Python 2, whose strings are read as Latin-1. ``pickle.load`` calls whatever a file names; here
    every name stands for a function of this module, which checks what it is given, and NumPy's
    own unpickling sees checked values alone.

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
        with path.open("rb") as file:
            found = _ArrayUnpickler(file, encoding="latin1").load()
        _check_size(found, _MOST_COPIES * path.stat().st_size)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not a pickle of arrays: {error}") from error
    except Exception as error:
        # A damaged pickle ends in whatever error its first wrong byte leads to.
        raise ValueError(f"{path} is no pickle, or is damaged: {error!r}") from error
    return found


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it refers to {module}.{name}; numbers, text, containers and NumPy arrays are"
                " admitted, nothing was run."
            ) from None


class _Admitted:
    """What stands for a name in a file; it cannot be altered by the file."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it alters a function, which no array needs.")


class _ArrayType(_Admitted):
    """Stands for ``numpy.ndarray``, which is only ever handed to `_Reconstruct`."""

    __slots__ = ()


class _Array(np.ndarray):
    """An array; only its unpickling differs from its base."""

    def __setstate__(self, state: Any) -> None:
        _need(type(state) is tuple and len(state) == 5, "state of an array")
        version, shape, box, is_fortran, values = state
        _need(version == 1 and isinstance(box, _Dtype), "version or dtype of an array")
        count = _count(shape)
        if box.dtype.hasobject:
            _need(type(values) is list and len(values) == count, "number of objects in an array")
        else:
            values = _as_bytes(values)
            _need(len(values) == count * box.dtype.itemsize, "number of bytes in an array")
        checked: Any = (1, shape, box.dtype, bool(is_fortran), values)
        super().__setstate__(checked)
        # NumPy takes the bytes as they are, and Python shares short ones among all their users.
        self.flags.writeable = False


class _Dtype:
    """A dtype, of those that are admitted; its unpickling sets the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str) -> None:
        # Python 2 wrote the width of a pointer into it.
        self.dtype = np.dtype("O" if code.lstrip("<>|=").startswith("O") else code)

    def __setstate__(self, state: Any) -> None:
        _need(type(state) is tuple and len(state) >= 5, "state of a dtype")
        order, *structure = state[1:5]
        _need(order in ("<", ">", "|", "=") and structure == [None, None, None], "kind of dtype")
        self.dtype = self.dtype.newbyteorder(order)


class _MakeDtype(_Admitted):
    __slots__ = ()

    def __call__(self, code: Any, *flags: Any) -> _Dtype:
        del flags  # Alignment and copying.
        _need(type(code) is str and _DTYPE.fullmatch(code) is not None, f"dtype {code!r}")
        return _Dtype(code)


class _Reconstruct(_Admitted):
    """Stands for ``numpy.core.multiarray._reconstruct``: an array that is filled afterwards."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, typecode: Any) -> _Array:
        _need(isinstance(kind, _ArrayType) and shape == (0,), "kind of array")
        del typecode
        return np.ndarray.__new__(_Array, (0,))


class _FromBuffer(_Admitted):
    """Stands for ``numpy.core.numeric._frombuffer``, of protocol 5."""

    __slots__ = ()

    def __call__(self, values: Any, box: Any, shape: Any, order: Any) -> _Array:
        _need(isinstance(box, _Dtype) and order in ("C", "F"), "dtype or order of an array")
        array = np.ndarray.__new__(_Array, (0,))
        if isinstance(values, bytearray):
            values = bytes(values)
        array.__setstate__((1, shape, box, order == "F", values))
        return array


class _Scalar(_Admitted):
    """Stands for ``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, box: Any, value: Any) -> Any:
        _need(isinstance(box, _Dtype) and not box.dtype.hasobject, "dtype of a scalar")
        value = _as_bytes(value)
        _need(len(value) == box.dtype.itemsize, "number of bytes in a scalar")
        return np.frombuffer(value, box.dtype)[0]


class _Encode(_Admitted):
    """Stands for ``_codecs.encode``, with which Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        _need(type(text) is str and encoding == "latin1", "encoding of bytes")
        return text.encode("latin1")


class _EmptyBytes(_Admitted):
    """Stands for ``bytes``, with which Python 3 writes empty bytes for Python 2."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


_ADMITTED: dict[tuple[str, str], _Admitted] = {
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


def _count(shape: Any) -> int:
    is_shape = type(shape) is tuple and len(shape) <= _DEEPEST
    _need(is_shape and all(type(side) is int and side >= 0 for side in shape), "shape of an array")
    return math.prod(shape)


def _as_bytes(values: Any) -> bytes:
    """Bytes, which Python 2 wrote as a string."""
    if type(values) is str:
        values = values.encode("latin1")
    _need(type(values) is bytes, "content of an array")
    return values


def _check_size(found: Any, most: int) -> None:
    """Refuses what holds itself or other objects, is very deep, or unfolds to too many values."""
    if _weigh(found, {}, 0) > most:
        raise pickle.UnpicklingError("it repeats parts of itself, and unfolds to far more values.")


def _weigh(value: Any, known: dict[int, int], depth: int) -> int:
    """Number of values in a tree, those named twice counted twice."""
    if id(value) in known:
        return known[id(value)]
    # What holds itself is deeper than anything.
    if depth > _DEEPEST:
        raise pickle.UnpicklingError(f"it is nested more than {_DEEPEST} deep.")
    if type(value) not in _CONTAINERS:
        _need(type(value) in _VALUES or isinstance(value, np.generic), type(value).__name__)
        return 1
    total = 1
    for item in _items(value):
        # Most are numbers, of which there may be hundreds of millions.
        total += 1 if type(item) in _VALUES else _weigh(item, known, depth + 1)
    known[id(value)] = total
    return total


_CONTAINERS = frozenset({dict, list, tuple, _Array})
_VALUES = frozenset({str, bytes, int, float, bool, type(None)})


def _items(value: Any) -> Any:
    if type(value) is dict:
        # Keys may be tuples, which hold values too.
        return [*value.keys(), *value.values()]
    if type(value) is _Array:
        return value.ravel().tolist() if value.dtype.hasobject else ()
    return value
