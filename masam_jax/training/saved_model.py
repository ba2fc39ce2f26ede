"""A saved run's network and parameters, read without its data and its optimizer's state."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax

from masam_jax.config import Experiment
from masam_jax.config.errors import RunError, user_errors
from masam_jax.core.random_keys import typed_key
from masam_jax.methods import BoundMethod, Objective, parse_method
from masam_jax.models import LateFusionNetwork
from masam_jax.training.networks import build_network
from masam_jax.training.parameter_average import Average
from masam_jax.training.predictions import Point
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.storage.context_file import read_context
from masam_jax.training.storage.data_facts import DataFacts, read_facts
from masam_jax.training.storage.run_config import check_config, check_specs
from masam_jax.training.storage.run_directory import read_config
from masam_jax.training.storage.surroundings import run_root


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """One method's run.

    Attributes:
      root: the directory of the run, or of the comparison that the method is part of.
      place: the method's own directory.
      config: its configuration, as saved.
      experiment: the same, but for the method.
      method: the method.
      facts: what its data were like.
      network: the network.
      objective: how it predicts.
    """

    root: Path
    place: Path
    config: dict[str, Any]
    experiment: Experiment
    method: BoundMethod
    facts: DataFacts
    network: LateFusionNetwork
    objective: Objective

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were trained."""
        return self.experiment.seeds.values

    def point(self, best: bool, fall_back: bool = False) -> Point:
        """What predicts by the last checkpoint, ``[S, ...]``, on one device.

        Args:
          best: each seed's best parameters by validation score, instead of those after the last
            step.
          fall_back: where the last checkpoint is damaged, whether to take the last whole one.

        Raises:
          RunError: no checkpoint, a damaged one, or one of another network.
        """
        if not (self.place / "checkpoints").is_dir():
            raise RunError(f"{self.place} holds no checkpoint: the method has not been trained yet")
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((len(self.seeds), *x.shape), x.dtype, sharding=sharding),
            jax.eval_shape(self._init, jax.ShapeDtypeStruct((2,), "uint32")),
        )
        if best:
            fields = {f"best_{name}": part for name, part in like._asdict().items()}
        elif self.experiment.optimization.ema is None:
            fields = like._asdict()
        else:
            average = Average(like.params, like.statistics)
            fields = {"average": average, "method_state": like.method_state}
        with Checkpoints(self.place / "checkpoints", self.config, read_only=True) as checkpoints:
            parts = checkpoints.restore_parts(fields, fall_back)
        if "average" in parts:
            average = parts["average"]
            return Point(average.params, average.statistics, parts["method_state"])
        return Point(*(parts[name] for name in fields))

    def step(self, fall_back: bool = False) -> int:
        """The step of the checkpoint that `point` takes.

        Raises:
          RunError: as `point`.
        """
        with Checkpoints(self.place / "checkpoints", self.config, read_only=True) as checkpoints:
            return checkpoints.restored_step(fall_back)

    def _init(self, key: jax.Array) -> Point:
        network, objective, key = self.network, self.objective, typed_key(key)
        params = network.init(key)
        further = objective.init_params(network, key)
        params = {**params, "method": further} if further else params
        return Point(params, network.init_statistics(), objective.init_state(network, params))


def open_model(path: Path, method: str | None = None) -> SavedModel:
    """Opens a run.

    Args:
      path: a directory that ``masam train`` or ``masam compare`` wrote, or one method's directory
        inside a comparison.
      method: which one of a comparison, as NAME[:OPTION=VALUE,...].

    Raises:
      RunError: no run, a damaged one, one that has not been trained yet, or a method that it does
        not have or that must be chosen.
    """
    place = _method_directory(path, method)
    root, config = run_root(place), read_config(place)
    facts = read_facts(root)
    checked = check_config(place, config)
    (bound,), experiment = checked.methods, checked.experiment
    with user_errors():
        network = build_network(
            facts.modalities,
            len(facts.classes),
            facts.multi_label,
            experiment.chosen_model,
            bound.fusion or experiment.model.fusion,
            experiment.optimization.regression_loss if facts.is_regression else None,
        )
    objective = bound.objective(read_context(place))
    return SavedModel(root, place, config, experiment, bound, facts, network, objective)


def _method_directory(path: Path, method: str | None) -> Path:
    config = read_config(path)
    if config.get("kind") == "tune":
        raise RunError(f"{path} is a tuning, which keeps no parameters; load a comparison")
    comparison, specs = check_specs(path, config)
    listed = ", ".join(specs)
    if method is None and len(specs) > 1:
        raise RunError(f"{path} has several methods: give method, one of {listed}")
    with user_errors():
        asked = parse_method(specs[0] if method is None else method)
    if asked.spec not in specs:
        raise RunError(f"{path} has no method {method!r}; it has {listed}")
    return path / "methods" / asked.slug if comparison else path
