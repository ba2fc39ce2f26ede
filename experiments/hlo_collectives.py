"""How many collectives a compiled program runs, and on how many bytes: read off its text.

A program is read as it runs: the dearest branch of a conditional counts, for one alone runs; the
body of a loop counts as often as it is known to run; what is asynchronous counts where it ends.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping

KINDS = (
    "all-reduce",
    "reduce-scatter",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
"""Operations that devices take part in together."""

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (.*)$")
# Of the types before it, tilings alone have parentheses, and those are T(8,128), S(1).
_OPERATION = re.compile(r" ([a-z][a-z0-9-]*)\(")
_ARRAY = re.compile(r"\b(pred|token|bf16|[a-z]+\d+\w*)\[([\d,]*)\]")
_CALLED = re.compile(r"\b(?:calls|to_apply|body)=%?([\w.-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRUE_OR_FALSE = re.compile(r"\b(?:true|false)_computation=%?([\w.-]+)")
_TRIPS = re.compile(r'known_trip_count"?[=:]\{"?n"?:"?(\d+)')
_GROUP = re.compile(r"replica_groups=(?:\{\{([\d,]*)\}|\[\d+,(\d+)\])")


@dataclasses.dataclass(frozen=True)
class Collectives:
    """What one run of a program makes devices do together.

    Attributes:
      number: of each kind, how many.
      bytes: of each kind, the size of the whole arrays that they are of: what is reduced, what is
        gathered. A device sends and receives up to twice as much in an all-reduce, once as much in
        the others.
    """

    number: Mapping[str, int]
    bytes: Mapping[str, int]

    @property
    def total_number(self) -> int:
        """Of all kinds."""
        return sum(self.number.values())

    @property
    def total_bytes(self) -> int:
        """Of all kinds."""
        return sum(self.bytes.values())


_NONE = Collectives({}, {})


def collectives_of(text: str) -> Collectives:
    """Those of a program, ``jax.stages.Compiled.as_text()``.

    Raises:
      ValueError: the text has no entry.
    """
    computations, entry = _computations(text)
    if entry is None:
        raise ValueError("the text is of no compiled program: it has no ENTRY")

    @functools.cache
    def of(name: str) -> Collectives:
        return _added(map(of_instruction, computations.get(name, ())))

    def of_instruction(instruction: str) -> Collectives:
        found = _OPERATION.search(instruction)
        if found is None:
            return _NONE
        operation = found[1]
        kind = operation.removesuffix("-done")
        if kind in KINDS:
            size = _size(instruction[: found.start()])
            if kind == "reduce-scatter":
                size *= _group(instruction)
            return Collectives({kind: 1}, {kind: size})
        if operation.removesuffix("-start") in KINDS or operation in ("async-done", "async-update"):
            return _NONE
        if operation == "conditional":
            branches = [of(name) for name in _branches(instruction)]
            return max(branches, key=lambda each: (each.total_bytes, each.total_number))
        inside = _added(map(of, _CALLED.findall(instruction)))
        trips = _TRIPS.search(instruction) if operation == "while" else None
        return inside if trips is None else _added([inside] * int(trips[1]))

    return of(entry)


def _computations(text: str) -> tuple[dict[str, list[str]], str | None]:
    """The instructions of each computation, and which one is the entry."""
    computations: dict[str, list[str]] = {}
    entry, current = None, ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            current = header[2]
            computations[current] = []
            entry = current if header[1] else entry
        elif instruction := _INSTRUCTION.match(line):
            computations[current].append(" " + instruction[1])
    return computations, entry


def _branches(instruction: str) -> list[str]:
    if named := _BRANCHES.search(instruction):
        return [name.strip().removeprefix("%") for name in named[1].split(",")]
    return _TRUE_OR_FALSE.findall(instruction)


def _size(types: str) -> int:
    """Bytes of all arrays that a type is made of."""
    return sum(
        math.prod(int(n) for n in dimensions.split(",") if n) * _width(dtype) // 8
        for dtype, dimensions in _ARRAY.findall(types)
    )


def _width(dtype: str) -> int:
    """Bits of a number."""
    if dtype in ("pred", "token"):
        return 8 if dtype == "pred" else 0
    digits = re.match(r"[a-z]+(\d+)", dtype)
    assert digits is not None
    return int(digits[1])


def _group(instruction: str) -> int:
    """How many devices take part; 1 where the text does not say."""
    found = _GROUP.search(instruction)
    if found is None:
        return 1
    return int(found[2]) if found[2] else len(found[1].split(","))


def _added(parts: Iterable[Collectives]) -> Collectives:
    number: dict[str, int] = {}
    size: dict[str, int] = {}
    for part in parts:
        for kind in part.number:
            number[kind] = number.get(kind, 0) + part.number[kind]
            size[kind] = size.get(kind, 0) + part.bytes[kind]
    return Collectives(number, size)
