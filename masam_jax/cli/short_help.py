"""Help of one screen: the options most used, examples, and what to read next."""

import dataclasses
import inspect
import textwrap
from collections.abc import Mapping, Sequence

from masam_jax.cli.options import Option

_WIDTH = 80
# Of the column with an option's name and what stands for its value.
_COLUMN = 25

# Defaults of more letters are counted.
_LONG = 40


@dataclasses.dataclass(frozen=True)
class Screen:
    """What the help of a command shows beside its docstring.

    Attributes:
      options: names of the fields that are most used; their own docstrings are the text.
      examples: the words after the program's name.
      see_also: other commands, and pages.
    """

    options: tuple[str, ...]
    examples: tuple[str, ...]
    see_also: str


_DATA = ("dataset", "train_size", "encoders", "width")
_LENGTH = ("steps", "epochs", "batch_size", "learning_rate")
_OUTPUT = ("output", "resume", "overwrite")

# By the words of the command.
SCREENS: dict[tuple[str, ...], Screen] = {
    ("train",): Screen(
        ("method", *_DATA, *_LENGTH, "seeds", *_OUTPUT),
        (
            "train --method masam:rho=12 --seeds 4 --output runs/mine",
            "train --dataset crema_d --source ~/CREMA-D",
        ),
        "masam compare, tune, evaluate, datasets; docs/runs.md",
    ),
    ("compare",): Screen(
        ("methods", "baseline", *_DATA, *_LENGTH, "seeds", *_OUTPUT),
        (
            "compare --methods late_fusion masam masam:rho=12 --seeds 8",
            "compare --methods @runs/tune --output runs/compared",
        ),
        "masam tune (for @PATH), evaluate, runs; docs/methods.md",
    ),
    ("diagnose",): Screen(
        ("dataset", "train_size", "width", "steps", "seeds", *_OUTPUT),
        (
            "diagnose --dataset mfeat --seeds 8 --output runs/diagnosis",
            "diagnose --dataset synthetic:case=competition",
        ),
        "masam compare, to try what helps; docs/diagnose.md",
    ),
    ("tune",): Screen(
        ("methods", "trials", "tune_seeds", *_DATA, *_LENGTH, *_OUTPUT),
        ("tune --methods masam sam --output runs/tune",),
        "masam compare --methods @PATH; docs/methods.md",
    ),
    ("evaluate",): Screen(
        ("run", "split", "inputs", "label", "checkpoint", "fall_back", "predictions"),
        (
            "evaluate runs/mine --split train --predictions out.csv",
            "evaluate runs/mine --inputs new.csv --label species",
        ),
        "masam predict, runs; docs/runs.md, docs/inference.md",
    ),
    ("predict",): Screen(
        ("run", "inputs", "output", "method", "checkpoint", "fall_back"),
        (
            "predict runs/mine --inputs new.csv --output out.csv",
            "predict runs/all --method masam:rho=12 --inputs new.csv",
        ),
        "masam evaluate --inputs, runs; docs/inference.md",
    ),
    ("export",): Screen(
        ("run", "output", "method", "checkpoint", "seed", "platforms"),
        (
            "export runs/mine --output served",
            "export runs/all --method masam:rho=12 --platforms cpu",
        ),
        "masam predict; docs/export.md",
    ),
    ("runs",): Screen(("directory",), ("runs runs/2026",), "masam evaluate, predict; docs/runs.md"),
    ("measure",): Screen(
        ("run", "measure", "method", "samples", "seeds", "output"),
        (
            "measure runs/mine --samples 512",
            "measure runs/all --measure surface --method masam:rho=12",
        ),
        "masam train --measure, along training; docs/geometry.md",
    ),
    ("report",): Screen(
        ("runs", "output"),
        ("report runs/one runs/other --output runs/both",),
        "masam runs, which lists them; docs/runs.md",
    ),
    ("experiment",): Screen(
        ("name", "datasets", "seeds", "steps", "quick", "output"),
        (
            "experiment",
            "experiment ablation --datasets mfeat --seeds 8",
        ),
        "docs/experiments.md",
    ),
    ("datasets", "list"): Screen(
        ("data_dir",), ("datasets list",), "masam datasets info; docs/datasets.md"
    ),
    ("datasets", "prepare"): Screen(
        ("name", "source", "data_dir", "threads", "strict", "overwrite"),
        ("datasets prepare crema_d --source ~/CREMA-D",),
        "masam datasets info, verify; docs/datasets.md",
    ),
    ("datasets", "info"): Screen(
        ("name", "data_dir"),
        ("datasets info crema_d",),
        "masam datasets list, prepare; docs/datasets.md",
    ),
    ("datasets", "describe"): Screen(
        ("place", "label", "overwrite"),
        ("datasets describe table.csv --label species",),
        "masam datasets info, verify; docs/your_data.md",
    ),
    ("datasets", "verify"): Screen(
        ("name", "samples", "sheet", "rows", "data_dir"),
        ("datasets verify crema_d --samples 100",),
        "masam datasets prepare, info; docs/datasets.md",
    ),
}


def command_help(
    program: str,
    command: tuple[str, ...],
    kind: type,
    options: Sequence[Option],
    names: Mapping[str, Sequence[str]],
) -> str:
    """The help of a command.

    Args:
      program: as it is typed.
      command: its words.
      kind: its dataclass, whose docstring begins the text.
      options: all of its options.
      names: what is listed beside, such as the methods, by their heading.
    """
    screen = SCREENS[command]
    by_name = {option.name: option for option in options}
    shown = [by_name[name] for name in screen.options]
    positional = [option for option in shown if option.is_positional]
    usage = [_as_argument(option) for option in positional]
    usage += ["[OPTIONS]"] if len(positional) < len(options) else []
    parts = [_first_lines(program, [*command, *usage], str(kind.__doc__))]
    more = len(options) > len(shown)
    title = f"most used of {len(options)} options" if more else "options"
    parts.append([f"{title}:", *(line for option in shown for line in _row(option))])
    for heading, listed in names.items():
        parts.append(_wrapped(f"{heading}: {', '.join(listed)}", "  "))
    parts.append(["examples:", *(f"  {program} {example}" for example in screen.examples)])
    described = f", and describes the {' and '.join(names)}" if names else ""
    last = _wrapped(f"see also: {screen.see_also}", "  ")
    whole = f"all {len(options)} options" if more else "the whole of these texts"
    last += _wrapped(f"--help-all shows {whole}{described}.", "")
    return _joined([*parts, last])


def list_help(
    program: str, command: tuple[str, ...], about: str, kinds: Mapping[str, type], see_also: str
) -> str:
    """The help of what has commands below it.

    Args:
      program: as it is typed.
      command: the words before those of the commands.
      about: what it is.
      kinds: by their word; the first paragraphs of their docstrings are the text.
      see_also: pages, and what else there is.
    """
    rows = []
    for name, kind in kinds.items():
        text = inspect.cleandoc(str(kind.__doc__)).partition("\n\n")[0]
        rows += _columns(name, " ".join(text.split()), 12)
    last = _wrapped(f"see also: {see_also}", "  ")
    whole = " ".join([program, *command])
    last += _wrapped(f"{whole} COMMAND --help describes one; --help-all shows everything.", "")
    return _joined([_first_lines(program, [*command, "COMMAND ..."], about), rows, last])


def _first_lines(program: str, words: Sequence[str], about: str) -> list[str]:
    first = inspect.cleandoc(about).partition("\n\n")[0]
    return [f"usage: {' '.join([program, *words])}", "", *_wrapped(" ".join(first.split()), "")]


def _as_argument(option: Option) -> str:
    return f"[{option.placeholder}]" if option.shown_default else option.placeholder


def _row(option: Option) -> list[str]:
    name = option.placeholder
    if not option.is_positional:
        name = f"{option.flag} {option.placeholder}".rstrip()
    default = option.shown_default
    if len(default) > _LONG:
        default = f"{len(default.split())} of them"
    shown = f" ({default})" if default else ""
    return _columns(name, f"{_first_clause(option.help)}{shown}", _COLUMN)


def _first_clause(text: str) -> str:
    """Up to the first semicolon or the end of the sentence; --help-all has the rest."""
    ends = [place for mark in ("; ", ". ") if (place := text.find(mark)) >= 0]
    return text[: min(ends, default=len(text))].rstrip(".")


def _columns(name: str, text: str, width: int) -> list[str]:
    indent = " " * (width + 2)
    if len(name) > width:
        return [f"  {name}", *_wrapped(indent + text, indent)]
    return _wrapped(f"  {name:{width}}{text}", indent)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _joined(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts)
