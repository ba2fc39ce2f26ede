"""What is wrong with words that no command accepts, in one line each."""

import difflib
import itertools
import re
from collections.abc import Collection, Sequence

from masam_jax.cli.options import Option
from masam_jax.core.specs import nearest

_ALL = "--help-all lists them"


def first_mistake(options: Sequence[Option], words: Sequence[str]) -> str | None:
    """The first mistake in the words of a command.

    Args:
      options: those of the command.
      words: after the command.

    Returns:
      What is wrong, and what is accepted; None where neither names nor values say it.
    """
    flags = {option.flag: option for option in options if not option.is_positional}
    places = iter([option for option in options if option.is_positional])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_flag(word):
            if (place := next(places, None)) is None:
                return (
                    f"unexpected word {word!r}; a value belongs after its option, as --NAME VALUE"
                )
            continue
        name, equals, value = word.partition("=")
        option = flags.get(name.replace("_", "-"))
        if option is None:
            return _unknown(name, flags)
        values = [value] if equals else []
        if not equals and option.takes_value:
            values = list(itertools.takewhile(lambda each: not _is_flag(each), rest))
            values = values if option.takes_several else values[:1]
            del rest[: len(values)]
        if (wrong := _wrong_value(option, values, bool(equals))) is not None:
            return wrong
    place = next((each for each in places if not each.shown_default), None)
    if place is not None:
        return f"missing {place.placeholder}; {_lowered(place.help)}"
    return None


def in_flags(message: str, options: Sequence[Option]) -> str:
    """A message of a check that begins with a field's name, with what was typed in its place.

    Examples:
      >>> steps = Option("steps", (int,), 600, "", False)
      >>> in_flags("steps=0 is out of range: expected an integer >= 1", [steps])
      '--steps 0 is out of range; expected an integer >= 1'
    """
    for option in options:
        if option.is_positional or not re.match(rf"{option.name}( is | names? |=|: )", message):
            continue
        rest = message.removeprefix(option.name)
        message = f"{option.flag}{' ' if rest[0] == '=' else ''}{rest.removeprefix('=')}"
        return message.replace(" is out of range: expected", " is out of range; expected", 1)
    return message


def flattened(box: str) -> str:
    """What tyro prints in a box, as one line, without the advice at its end."""
    rows = [row.strip(" │") for row in box.splitlines() if not row.startswith(("╭", "╰"))]
    parts: list[list[str]] = [[]]
    for row in rows:
        if re.match("[─-]{3}", row):
            parts.append([])
        else:
            parts[-1].append(row)
    # Without lines around it, what the box is called comes first.
    said = " ".join(parts[0 if box.startswith("╭") else 1 % len(parts)]).strip()
    return re.sub(r"^Error parsing [\w./-]+: ", "", said) or "not understood"


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not re.match(r"-[\d.]|-$|-inf|-nan", word)


def _unknown(name: str, flags: Collection[str]) -> str:
    plain = name.lstrip("-").replace("_", "-").lower()
    dashed = f"--{plain}"
    # --lr for --learning-rate, --seeds for --tune-seeds.
    near = [flag for flag in flags if _initials(flag) == plain]
    near += nearest(dashed, flags) if len(plain) > 2 else []
    near += [flag for flag in flags if plain in flag[2:].split("-")]
    near += difflib.get_close_matches(dashed, flags, 1, 0.5) if len(plain) > 2 else []
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown option {name}; {hint}{_ALL}"


def _initials(flag: str) -> str:
    return "".join(part[0] for part in flag.strip("-").split("-"))


def _wrong_value(option: Option, values: Sequence[str], has_equals: bool) -> str | None:
    flag = option.flag
    if not option.takes_value:
        return (
            f"{flag} takes no value, and {values[0]!r} was given; leave it out"
            if has_equals
            else None
        )
    if not values and not option.takes_several:
        return f"{flag} needs a value; expected {option.accepted}"
    for value in values:
        if option.may_be_none and value == "None":
            continue
        if option.choices and value not in option.choices:
            near = nearest(value, option.choices)
            hint = f"did you mean {near[0]!r}? " if near else ""
            return f"{flag} {value!r} is unknown; {hint}expected {option.accepted}"
        if option.number is not None and not _reads(option.number, value):
            return f"{flag} {value!r} cannot be read; expected {option.accepted}"
    return None


def _reads(number: type, value: str) -> bool:
    try:
        number(value)
    except ValueError:
        return False
    return True


def _lowered(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")
