"""The options of a command, read off its typed fields as tyro reads them."""

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
import types
import typing
from typing import Annotated, Any, Literal, cast

import tyro

from masam_jax.core.specs import write_value

_NUMBERS: dict[type, tuple[str, str]] = {int: ("INT", "an integer"), float: ("FLOAT", "a number")}
_KINDS: dict[type, tuple[str, str]] = {**_NUMBERS, str: ("STR", "a word")}


@dataclasses.dataclass(frozen=True)
class Option:
    """A field that the command line may name.

    Attributes:
      name: of the field; ``section.name`` is not written, since no two sections share one.
      kinds: the types that its type is a union of; a ``Literal`` counts as one.
      default: its value where it is not given; ``dataclasses.MISSING`` where it has to be.
      help: the docstring under the field, as one line.
      is_positional: whether it is a word by itself.
      metavar: what stands for the value, where it says so itself.
    """

    name: str
    kinds: tuple[Any, ...]
    default: Any
    help: str
    is_positional: bool
    metavar: str = ""

    @property
    def flag(self) -> str:
        """What is typed: ``--name``; ``--no-name`` where the default is true."""
        dashed = self.name.replace("_", "-")
        return f"--no-{dashed}" if self.default is True else f"--{dashed}"

    @property
    def takes_value(self) -> bool:
        """Whether a value follows."""
        return bool not in self.kinds

    @property
    def takes_several(self) -> bool:
        """Whether any number of values follow."""
        return any(typing.get_origin(kind) is tuple for kind in self.kinds)

    @property
    def may_be_none(self) -> bool:
        """Whether ``none`` is a value of it."""
        return type(None) in self.kinds

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are accepted, where there are few."""
        literals = (kind for kind in self.kinds if typing.get_origin(kind) is Literal)
        return tuple(word for kind in literals for word in typing.get_args(kind))

    @property
    def number(self) -> type | None:
        """``int`` or ``float``, where a number is needed."""
        return next((kind for kind in self.kinds if kind in _NUMBERS), None)

    @property
    def placeholder(self) -> str:
        """What stands for the value in help."""
        if not self.takes_value:
            return ""
        if self.takes_several:
            return self.metavar or "STR ..."
        name = self.metavar or self._words(0)
        return f"{{{','.join(self.choices)}}}" if self.choices else name

    @property
    def accepted(self) -> str:
        """What is accepted, as a sentence's end."""
        if self.choices:
            words = f"one of {', '.join(self.choices)}"
        else:
            words = self.metavar or self._words(1)
        return f"{words}, or none" if self.may_be_none and self.number else words

    def _words(self, place: int) -> str:
        return next((_KINDS[kind][place] for kind in self.kinds if kind in _KINDS), "STR")

    @property
    def shown_default(self) -> str:
        """The default as it would be typed; empty where there is none to speak of."""
        nothing = (dataclasses.MISSING, None, (), "")
        if not self.takes_value or self.default in nothing:
            return ""
        if isinstance(self.default, tuple):
            return " ".join(map(str, self.default))
        return write_value(self.default)


def command_options(kind: type, default: Any = None) -> tuple[Option, ...]:
    """The options of a command and of its sections, in their order.

    Args:
      kind: a dataclass.
      default: an instance whose values are the defaults; those of the fields when None.
    """
    found: list[Option] = []
    helps = _field_docstrings(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, marks = _unwrapped(hints[field.name])
        value = field.default if default is None else getattr(default, field.name)
        if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if _is_marked(marks, tyro.conf.Suppress):
            continue
        if dataclasses.is_dataclass(hint):
            found += command_options(cast(type, hint), value)
            continue
        is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        found.append(
            Option(
                field.name,
                typing.get_args(hint) if is_union else (hint,),
                value,
                helps.get(field.name, ""),
                _is_marked(marks, tyro.conf.Positional),
                next((m.metavar for m in marks if getattr(m, "metavar", None)), ""),
            )
        )
    return tuple(found)


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type itself, and what is annotated to it."""
    if typing.get_origin(hint) is not Annotated:
        return hint, ()
    inner, *marks = typing.get_args(hint)
    return inner, tuple(marks)


def _is_marked(marks: tuple[Any, ...], marker: Any) -> bool:
    # tyro's markers are types to a reader, and annotate themselves.
    return any(mark in marks for mark in _unwrapped(marker[int])[1])


@functools.cache
def _field_docstrings(kind: type) -> dict[str, str]:
    """The texts under the fields of a class and of those that it comes from, as one line each."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(each):
            continue
        body = cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]).body
        for node, following in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                found[node.target.id] = " ".join(str(following.value.value).split())
    return found
