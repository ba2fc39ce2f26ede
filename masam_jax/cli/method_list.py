"""What ``--methods`` accepts beside specifications: ``all``, and the methods of a tuning."""

from collections.abc import Callable, Sequence

from masam_jax.config.errors import RunError, user_errors
from masam_jax.methods import method_names, parse_method
from masam_jax.tuning.best_file import best_file, read_best

# Methods of one file that differ in more than a number, and so count as methods of their own.
ABLATIONS = {
    "masam": ("masam:select=all", "masam:select=random", "masam:scale_by_alignment=false"),
}


def expand_methods(items: Sequence[str], published: Callable[[str], str] = str) -> tuple[str, ...]:
    """Writes out ``all`` and ``@PATH``; every other item is a specification and stays.

    ``all`` is every registered method with its defaults, and the ablations of MASAM. ``@PATH`` is
    what a tuning found best: the path of its directory, or of the ``best.json`` in it. A method
    of theirs that is on the list already, or is named on its own, is not repeated.

    Args:
      items: the words after ``--methods``.
      published: gives a specification the options that were published for the data at hand;
        what a tuning found has its own.

    Raises:
      RunError: an unknown method, or a file that is missing or damaged.
    """
    named = {_canonical(published(item)) for item in items if not _is_list(item)}
    specs: list[str] = []
    for item in items:
        if _is_list(item):
            every = [_canonical(published(spec)) for spec in _every_method()]
            found = every if item == "all" else _best_methods(item[1:])
            specs += [spec for spec in found if spec not in named]
            named.update(found)
        else:
            specs.append(published(item))
    return tuple(specs)


def _is_list(item: str) -> bool:
    return item == "all" or item.startswith("@")


def _canonical(spec: str) -> str:
    with user_errors():
        return parse_method(spec).spec


def _every_method() -> list[str]:
    return [spec for name in method_names() for spec in (name, *ABLATIONS.get(name, ()))]


def _best_methods(text: str) -> list[str]:
    path = best_file(text)
    specs = read_best(path)
    try:
        return list(dict.fromkeys(map(_canonical, specs)))
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
