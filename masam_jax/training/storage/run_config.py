"""What a run's ``config.json`` says, checked: a file can be damaged, and of another version."""

import dataclasses
from pathlib import Path
from typing import Any

from masam_jax.config import Experiment, experiment_from_json
from masam_jax.config.errors import RunError
from masam_jax.methods import BoundMethod, parse_method


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A run of one method, or a comparison of several.

    Attributes:
      is_comparison: which of the two.
      methods: in their order.
      experiment: everything else that the numbers depend on.
    """

    is_comparison: bool
    methods: tuple[BoundMethod, ...]
    experiment: Experiment


def check_config(path: Path, config: dict[str, Any]) -> RunConfig:
    """The configuration of a run, or of a method's place in a comparison.

    Args:
      path: of the run.
      config: what `masam_jax.training.storage.run_directory.read_config` read there; of no tuning.

    Raises:
      RunError: no version of this package wrote it.
    """
    is_comparison, specs = check_specs(path, config)
    try:
        methods = tuple(parse_method(spec) for spec in specs)
        return RunConfig(is_comparison, methods, experiment_from_json(config))
    except (ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def check_specs(path: Path, config: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether it is a comparison, and the specifications of its methods as they were written.

    Args:
      path: of the run.
      config: as for `check_config`.

    Raises:
      RunError: as `check_config`, but a method may be one that is not registered here.
    """
    kind = config.get("kind")
    if kind not in ("train", "compare"):
        raise _damaged(path, f"kind is {kind!r:.60}, expected 'train' or 'compare'")
    specs = config.get("methods") if kind == "compare" else [config.get("method")]
    if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
        name = "methods" if kind == "compare" else "method"
        raise _damaged(path, f"{name} is {config.get(name)!r:.60}, expected specifications")
    return kind == "compare", specs


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path}/config.json is damaged: {reason}")
