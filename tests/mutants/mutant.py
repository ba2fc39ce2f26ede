"""What a mutant is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A line of the library, what it is turned into, and the tests that are to notice.

    Attributes:
      name: what is wrong then.
      file: its file, relative to ``masam_jax/``.
      line: the line, or as much of it as occurs once in the file.
      mutation: what takes its place.
      tests: files of tests, from the quickest to the slowest: they run until one fails.
    """

    name: str
    file: str
    line: str
    mutation: str
    tests: tuple[str, ...]


def in_file(
    file: str, tests: tuple[str, ...], *changes: tuple[str, str, str]
) -> tuple[Mutant, ...]:
    """The mutants of one file; every change is its name, line and mutation."""
    return tuple(Mutant(name, file, line, mutation, tests) for name, line, mutation in changes)
