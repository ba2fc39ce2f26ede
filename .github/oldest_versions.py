"""Prints the oldest supported versions, ``name==bound`` a line, as constraints for pip.

They are the lower bounds in ``pyproject.toml`` of the runtime dependencies, and of the extras named
on the command line: ``python .github/oldest_versions.py train > oldest.txt``.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?\s*>=\s*(?P<bound>[\w.]+)")


def oldest_versions(project: Mapping[str, Any], extras: Iterable[str]) -> dict[str, str]:
    """Name -> lower bound, of the runtime dependencies and of some extras.

    Args:
      project: the table ``project`` of a ``pyproject.toml``.
      extras: names of extras.

    Raises:
      ValueError: an extra does not exist, or a requirement does not start with a lower bound, or
        two of the same name have different ones.
    """
    requirements, optional = list(project["dependencies"]), project["optional-dependencies"]
    for extra in extras:
        if extra not in optional:
            raise ValueError(f"no extra {extra!r}; there are {', '.join(optional)}")
        requirements += optional[extra]
    bounds: dict[str, str] = {}
    for requirement in requirements:
        parts = REQUIREMENT.match(requirement)
        if parts is None:
            raise ValueError(f"{requirement!r} does not start with a name and a lower bound")
        name, bound = parts["name"], parts["bound"]
        if bounds.setdefault(name, bound) != bound:
            raise ValueError(f"{name} has two lower bounds, {bounds[name]} and {bound}")
    return bounds


if __name__ == "__main__":
    table = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    try:
        found = oldest_versions(table, sys.argv[1:])
    except ValueError as error:
        sys.exit(f"oldest_versions.py: {error}")
    for name, bound in found.items():
        print(f"{name}=={bound}")
