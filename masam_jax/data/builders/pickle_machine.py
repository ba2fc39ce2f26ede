"""Pickle's opcodes, within bounds: time and memory that grow with a file's size, and no code."""

from __future__ import annotations

import codecs
import mmap
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

# A file may name one object in many places; copies that are made of them stay near its size.
MOST_COPIES = 16
# Of numbers written as text, and of integers of any length.
_LONGEST_NUMBER, _MOST_INTEGER_BYTES = 1000, 255
# Python's hash of larger integers repeats itself, and a dict of such keys takes forever.
_LARGEST_KEY = 2**61 - 2
_MOST_ARGUMENTS = 8
_RUN = 1000


class Admitted:
    """What a name in a file stands for: called with a `Spend` before the file's own arguments."""

    __slots__ = ()

    def __call__(self, spend: Spend, *arguments: Any) -> Any:
        """What the file's call gives; a class that is no function refuses it."""
        raise pickle.UnpicklingError(f"it calls {type(self).__name__}, which is no function.")

    def set_state(self, state: Any, spend: Spend) -> None:
        """Refuses."""
        raise pickle.UnpicklingError("it alters a function, which no array needs.")


class Spend:
    """Counts bytes that are copied; refuses when they are too many for the file."""

    def __init__(self, size: int) -> None:
        """Of a file of ``size`` bytes."""
        self._left = MOST_COPIES * size

    def __call__(self, count: int) -> None:
        """``count`` bytes are about to be copied."""
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError(
                "it repeats parts of itself, and unfolds to far more than its size."
            )


class PickleMachine:
    """One file's opcodes, of protocols 0 to 5, except those that make objects of classes.

    Python's own machine makes room for as many objects as an index says, hashes tuples of tuples
    for as long as it takes, and calls the methods of what it finds. Here keys are numbers and text,
    objects are appended to lists and set in dicts alone, a function is an `Admitted`, and each
    opcode takes time and memory in proportion to its bytes.

    Args:
      content: of the file.
      find: module and name -> what stands for it.
      stateful: classes, beside `Admitted`, whose ``set_state(state, spend)`` a file may call.
    """

    def __init__(
        self,
        content: bytes | mmap.mmap,
        find: Callable[[str, str], Any],
        stateful: tuple[type[Any], ...],
    ) -> None:
        self._content = content
        self._size = len(content)
        self._find = find
        self._stateful: tuple[type[Any], ...] = (Admitted, *stateful)
        self._spend = Spend(self._size)
        self._at = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the file ends with.

        Raises:
          pickle.UnpicklingError: an opcode, or what it is applied to, is not admitted.
          Exception: of another kind, where the file is damaged.
        """
        content, opcodes = self._content, self._OPCODES
        while True:
            code = content[self._at]
            self._at += 1
            if code == _STOP:
                return self._stack.pop()
            opcode = opcodes.get(code)
            if opcode is None:
                raise pickle.UnpicklingError(_reason(code))
            opcode(self)

    def _take(self, count: int) -> bytes:
        if count > self._size - self._at:
            raise pickle.UnpicklingError("it ends within a value.")
        start = self._at
        self._at += count
        return self._content[start : self._at]

    def _length(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _line(self) -> bytes:
        end = self._content.find(b"\n", self._at)
        if end < 0:
            raise pickle.UnpicklingError("it ends within a line.")
        line = self._content[self._at : end]
        self._at = end + 1
        return line

    def _number(self) -> bytes:
        line = self._line()
        if len(line) > _LONGEST_NUMBER:
            raise pickle.UnpicklingError(f"it has a number of {len(line)} digits.")
        return line

    def _items(self) -> list[Any]:
        """What lies above the last mark, which is taken away with it."""
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    # Numbers and constants.

    def _floats(self) -> None:
        self._stack += np.frombuffer(self._run(_FLOATS), _FLOAT)["value"].tolist()

    def _bytes_of_int(self) -> None:
        self._stack.extend(self._run(_INTS_OF_1)[1::2])

    def _int2(self) -> None:
        self._stack += np.frombuffer(self._run(_INTS_OF_2), _INT_OF_2)["value"].tolist()

    def _int4(self) -> None:
        self._stack += np.frombuffer(self._run(_INTS_OF_4), _INT_OF_4)["value"].tolist()

    def _run(self, pattern: re.Pattern[bytes]) -> bytes:
        """Many opcodes of one kind: most of a file of numbers is of these."""
        found = pattern.match(self._content, self._at - 1)
        if found is None:
            raise pickle.UnpicklingError("it ends within a value.")
        self._at = found.end()
        return found[0]

    def _int_line(self) -> None:
        line = self._number()
        self._push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))

    def _long_line(self) -> None:
        self._push(int(self._number().rstrip(b"L")))

    def _float_line(self) -> None:
        self._push(float(self._number()))

    def _long(self, width: int) -> None:
        count = self._length(width)
        if count > _MOST_INTEGER_BYTES:
            raise pickle.UnpicklingError(f"it has an integer of {count} bytes.")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    # Text and bytes.

    def _text(self, width: int) -> None:
        self._push(self._take(self._length(width)).decode("utf-8", "surrogatepass"))

    def _old_text(self, width: int) -> None:
        self._push(self._take(self._length(width)).decode("latin1"))

    def _bytes(self, width: int) -> None:
        self._push(self._take(self._length(width)))

    def _byte_array(self) -> None:
        self._push(bytearray(self._take(self._length(8))))

    def _unicode_line(self) -> None:
        self._push(self._line().decode("raw-unicode-escape"))

    def _string_line(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise pickle.UnpicklingError("it has a string without quotes.")
        self._push(codecs.escape_decode(line[1:-1])[0].decode("latin1"))

    # Containers.

    def _tuple(self) -> None:
        items = self._items()
        self._push(tuple(items))

    def _short_tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) != count:
            raise pickle.UnpicklingError("it makes a tuple of fewer values than it has.")
        del self._stack[-count:]
        self._push(items)

    def _list(self) -> None:
        items = self._items()
        self._push(items)

    def _dict(self) -> None:
        items = self._items()
        self._push({})
        self._set(items)

    def _append(self) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _appends(self) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise pickle.UnpicklingError(f"it appends to a {type(target).__name__}.")
        target.extend(items)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _set_items(self) -> None:
        self._set(self._items())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise pickle.UnpicklingError(f"it sets items of a {type(target).__name__}.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            is_plain = type(key) in _KEYS or isinstance(key, np.number)
            if not is_plain or (type(key) is int and abs(key) > _LARGEST_KEY):
                raise pickle.UnpicklingError(
                    f"a key of a dict is a {type(key).__name__}; text, and numbers below 2 ** 61,"
                    " are admitted."
                )
            target[key] = value

    # Marks, the stack and the memo.

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._below.pop()

    def _duplicate(self) -> None:
        self._push(self._stack[-1])

    def _put(self, index: int) -> None:
        # No file has named more objects than it has had bytes.
        if not 0 <= index <= self._at:
            raise pickle.UnpicklingError("it names an object by a number beyond its own size.")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise pickle.UnpicklingError("it repeats an object that it has not named.")
        self._push(self._memo[index])

    # Names, functions and their results.

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._push(self._find(module.decode(), name.decode()))

    def _instance(self) -> None:
        self._global()
        raise pickle.UnpicklingError(_reason(ord("o")))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise pickle.UnpicklingError("it refers to a name that is no text.")
        self._push(self._find(module, name))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Admitted):
            raise pickle.UnpicklingError(f"it calls a {type(function).__name__}.")
        if type(arguments) is not tuple or len(arguments) > _MOST_ARGUMENTS:
            raise pickle.UnpicklingError("it calls a function with what are no arguments of it.")
        self._push(function(self._spend, *arguments))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, self._stateful):
            raise pickle.UnpicklingError(f"it sets the state of a {type(target).__name__}.")
        target.set_state(state, self._spend)

    def _protocol(self) -> None:
        number = self._length(1)
        if number > 5:
            raise pickle.UnpicklingError(f"it is of protocol {number}; 0 to 5 are admitted.")

    def _frame(self) -> None:
        if self._length(8) > self._size - self._at:
            raise pickle.UnpicklingError("it ends within a frame.")

    _OPCODES: ClassVar[dict[int, Callable[[PickleMachine], None]]] = {
        ord(code): opcode
        for code, opcode in {
            "G": _floats,
            "K": _bytes_of_int,
            "M": _int2,
            "J": _int4,
            "I": _int_line,
            "L": _long_line,
            "F": _float_line,
            "\x8a": lambda self: self._long(1),
            "\x8b": lambda self: self._long(4),
            "N": lambda self: self._push(None),
            "\x88": lambda self: self._push(True),
            "\x89": lambda self: self._push(False),
            "\x8c": lambda self: self._text(1),
            "X": lambda self: self._text(4),
            "\x8d": lambda self: self._text(8),
            "U": lambda self: self._old_text(1),
            "T": lambda self: self._old_text(4),
            "C": lambda self: self._bytes(1),
            "B": lambda self: self._bytes(4),
            "\x8e": lambda self: self._bytes(8),
            "\x96": _byte_array,
            "V": _unicode_line,
            "S": _string_line,
            ")": lambda self: self._push(()),
            "t": _tuple,
            "\x85": lambda self: self._short_tuple(1),
            "\x86": lambda self: self._short_tuple(2),
            "\x87": lambda self: self._short_tuple(3),
            "]": lambda self: self._push([]),
            "l": _list,
            "a": _append,
            "e": _appends,
            "}": lambda self: self._push({}),
            "d": _dict,
            "s": _set_item,
            "u": _set_items,
            "(": _mark,
            "0": _pop,
            "1": lambda self: (self._items(), None)[1],
            "2": _duplicate,
            "p": lambda self: self._put(int(self._number())),
            "q": lambda self: self._put(self._length(1)),
            "r": lambda self: self._put(self._length(4)),
            "\x94": lambda self: self._put(len(self._memo)),
            "g": lambda self: self._get(int(self._number())),
            "h": lambda self: self._get(self._length(1)),
            "j": lambda self: self._get(self._length(4)),
            "c": _global,
            "i": _instance,
            "\x93": _stack_global,
            "R": _reduce,
            "b": _build,
            "\x80": _protocol,
            "\x95": _frame,
        }.items()
    }


_STOP = ord(".")
_KEYS = frozenset({str, bytes, int, float, bool, type(None)})
# Possessive: nothing is kept to go back to.
_FLOATS, _INTS_OF_1, _INTS_OF_2, _INTS_OF_4 = (
    re.compile(rb"(?:%c.{%d}){1,%d}+" % (code, width, _RUN), re.DOTALL)
    for code, width in ((b"G", 8), (b"K", 1), (b"M", 2), (b"J", 4))
)
# An opcode and its value.
_FLOAT, _INT_OF_2, _INT_OF_4 = (
    np.dtype([("opcode", "u1"), ("value", kind)]) for kind in (">f8", "<u2", "<i4")
)
_REFUSED = {
    ord("P"): "a persistent object (PERSID)",
    ord("Q"): "a persistent object (BINPERSID)",
    ord("o"): "an object of a class (OBJ)",
    0x81: "an object of a class (NEWOBJ)",
    0x92: "an object of a class (NEWOBJ_EX)",
    0x82: "a registered extension (EXT1)",
    0x83: "a registered extension (EXT2)",
    0x84: "a registered extension (EXT4)",
    0x8F: "a set (EMPTY_SET)",
    0x91: "a set (FROZENSET)",
    0x97: "a buffer outside of it (NEXT_BUFFER)",
}


def _reason(code: int) -> str:
    if code in _REFUSED:
        return f"it holds {_REFUSED[code]}; numbers, text, containers and arrays are admitted."
    return f"byte 0x{code:02x} is no opcode that is admitted."
