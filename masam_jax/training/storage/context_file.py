"""The length of a method's training, which its objective may depend on."""

from pathlib import Path

from masam_jax.config.errors import RunError
from masam_jax.methods import Context
from masam_jax.training.storage.sealed_files import read_sealed_json, write_sealed_json

_FILE = "training.json"


def write_context(place: Path, context: Context) -> None:
    """Writes ``training.json`` into the method's directory: steps of an epoch, and in all.

    Raises:
      OSError: it cannot be written.
    """
    content = {"steps_per_epoch": context.steps_per_epoch, "steps": context.steps}
    write_sealed_json(place / _FILE, content)


def read_context(place: Path) -> Context:
    """What `write_context` wrote.

    Raises:
      RunError: the file is damaged or missing.
    """
    path = place / _FILE
    if not path.is_file():
        raise RunError(f"{place} has no {_FILE}: the method has not been trained yet")
    content = read_sealed_json(path, ("steps_per_epoch", "steps"))
    for name, count in content.items():
        if type(count) is not int or count < 1:
            raise RunError(f"{path} is damaged: {name} is {count!r}; an integer >= 1 is needed")
    return Context(content["steps_per_epoch"], content["steps"])
