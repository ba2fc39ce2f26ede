"""What all methods of a comparison share: data, splits, statistics, network, order of batches."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import grain
import jax
import numpy as np

from masam_jax.config import Experiment, InputConfig
from masam_jax.core.random_keys import fold_raw, seed_key
from masam_jax.core.specs import check_choice
from masam_jax.core.target_losses import TargetError
from masam_jax.data import (
    SPLIT_RULE,
    MultimodalData,
    Split,
    split_digest,
)
from masam_jax.data.dataset_spec import is_own
from masam_jax.data.on_disk import Data, PreparedData
from masam_jax.data.standardization import Statistics
from masam_jax.data.streaming import ReadAhead
from masam_jax.models import LateFusionNetwork
from masam_jax.training import key_streams
from masam_jax.training.class_balance import (
    check_classes,
    class_weights,
    training_order,
)
from masam_jax.training.classification_metrics import METRICS
from masam_jax.training.corruption import Corruption, corrupt, still_present
from masam_jax.training.distribution import Placement
from masam_jax.training.metric_names import OF_TARGETS
from masam_jax.training.networks import (
    apply_pretrained,
    build_network,
    check_known,
    pretrained,
)
from masam_jax.training.open_data import open_data
from masam_jax.training.optimizer import check_encoders_named
from masam_jax.training.parameter_layout import shardings
from masam_jax.training.target_scale import TargetScale, target_scale
from masam_jax.training.training_statistics import training_statistics


@dataclasses.dataclass(frozen=True)
class Problem:
    """Data and network of an experiment, the same for every method.

    Attributes:
      experiment: the configuration it was built from.
      placement: where arrays live.
      data: the data set, on the host or on disk.
      opened: the same as it was opened: on disk also where all of it was then read into memory.
      splits: one for each seed, of the rows that are left to train on.
      corruption: wrong labels and missing modalities.
      fitted: what decoding needs to know of the training samples; None for nothing.
      resident: ``{m: [N, ...]}`` on the devices; empty for data that are read from disk.
      host_statistics: ``{m: (mean [S, D], std [S, D])}`` of each seed's training rows.
      statistics: the same, on the devices.
      batches: element t holds the row indices of step t, int32 ``[S, B]``.
      targets: scale of the targets of regression; None for classes and labels.
      ahead: how samples are read from disk.
    """

    experiment: Experiment
    placement: Placement
    data: Data
    opened: Data
    splits: tuple[Split, ...]
    corruption: Corruption
    fitted: Any
    resident: dict[str, Any]
    host_statistics: Statistics
    statistics: dict[str, Any]
    batches: grain.MapDataset
    targets: TargetScale | None = None
    ahead: ReadAhead = dataclasses.field(default_factory=ReadAhead)
    _networks: dict[str, LateFusionNetwork] = dataclasses.field(default_factory=dict, repr=False)
    _initial: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self.data.modalities

    @property
    def metric(self) -> str:
        """What results are measured in, a name of ``masam_jax.training.classification_metrics``."""
        return self.data.metric

    @functools.cached_property
    def train_labels(self) -> np.ndarray:
        """int32 ``[S, N]`` or ``[S, N, K]``, as trained on; evaluation has the data's own.

        Of regression, targets float32 ``[S, N, K]``, standardised.
        """
        labels = self.corruption.train_labels
        return labels if self.targets is None else self.targets.standardized(labels)

    def true_labels(self, rows: np.ndarray) -> np.ndarray:
        """The data's own labels ``[S, n]`` or ``[S, n, K]`` of rows ``[S, n]``.

        Of regression standardised, as networks estimate them.
        """
        labels = self.data.labels[rows]
        return labels if self.targets is None else self.targets.standardized(labels)

    @property
    def regression_loss(self) -> TargetError | None:
        """The error that is the loss; None for classes and labels."""
        return self.experiment.optimization.regression_loss if self.data.is_regression else None

    @functools.cached_property
    def class_weights(self) -> jax.Array | None:
        """float32[S, C] on the devices, what samples of each class weigh; None for the same."""
        asked = self.experiment.optimization.weights_of_classes
        if asked is None:
            return None
        labels = np.take_along_axis(self.train_labels, self.indices("train"), axis=1)
        found = class_weights(asked, labels, self.data.class_names)
        return self.placement.put(found, self.placement.seeds)

    def order(self, rows: np.ndarray, batch_size: int) -> grain.MapDataset:
        """Element t holds the row indices of step t, int32 ``[S, B]``, as the sampler has them.

        Args:
          rows: int ``[S, n]``, those that are trained on.
          batch_size: B.

        Raises:
          ValueError: the batch is larger than n.
        """
        return training_order(self.experiment, self.train_labels, rows, batch_size)

    def lacks(self, part: str) -> bool:
        """Whether samples may lack a modality, in ``"train"`` or in ``"test"``."""
        return self.data.has_missing or bool(self.corruption.present.get(part))

    def presence(self, part: str) -> Mapping[str, np.ndarray]:
        """Modality -> bool ``[N]``, the rows that have it, as far as is known without reading them.

        Args:
          part: ``"train"`` or ``"test"`` (validation too); empty where no sample lacks any.
        """
        own = {} if isinstance(self.data, PreparedData) else self.data.present
        asked = self.corruption.present.get(part, {})
        return still_present(self.experiment.corruption, part, asked, own)

    @functools.cached_property
    def seed_keys(self) -> jax.Array:
        """uint32[S, 2], one PRNG key for each seed."""
        keys = [seed_key(seed) for seed in self.experiment.seeds.values]
        return self.placement.put(np.stack(keys), self.placement.seeds)

    def network(self, fusion: str) -> LateFusionNetwork:
        """Encoders and heads, with that fusion head."""
        if fusion not in self._networks:
            data = self.data
            self._networks[fusion] = build_network(
                data.modality_specs,
                data.num_classes,
                data.multi_label,
                self.experiment.chosen_model,
                fusion,
                self.regression_loss,
            )
        return self._networks[fusion]

    def init_params(self, key: jax.Array, fusion: str) -> Any:
        """Parameters of one seed's network, from its key; without imported weights."""
        return self.network(fusion).init(fold_raw(key, key_streams.PARAMETERS))

    def initial(self, fusion: str) -> tuple[Any, Any]:
        """Parameters and running statistics ``[S, ...]`` before the first step, for every method.

        Raises:
          ValueError: imported weights do not fit.
        """
        if fusion not in self._initial:
            # Random numbers compile slowly and this runs once: measured on CPU, 3 s instead of 13.
            on_cpu = all(d.platform == "cpu" for d in self.placement.mesh.devices.flat)
            init = self._initializer(fusion)
            params, _ = jax.eval_shape(init, self.seed_keys)
            compiled = jax.jit(
                init,
                out_shardings=(shardings(self.placement, params, params), self.placement.seeds),
                compiler_options={"xla_backend_optimization_level": 0} if on_cpu else {},
            )
            self._initial[fusion] = compiled(self.seed_keys)
        return self._initial[fusion]

    def check_weights(self, fusion: str) -> None:
        """Reads imported weights, if there are any, and sees whether they fit.

        Raises:
          ValueError: a modality or encoder that takes none; a file that is missing or damaged, or
            does not fit.
        """
        if self.experiment.model.weights:
            jax.eval_shape(self._initializer(fusion), self.seed_keys)

    def _initializer(self, fusion: str) -> Callable[[jax.Array], tuple[Any, Any]]:
        load = pretrained(self.experiment.chosen_model, self.data.modality_specs)

        def init(keys: jax.Array) -> tuple[Any, Any]:
            params = jax.vmap(functools.partial(self.init_params, fusion=fusion))(keys)
            statistics = self.network(fusion).init_statistics()
            spread = jax.tree.map(
                lambda x: jax.numpy.broadcast_to(x, (len(keys), *x.shape)), statistics
            )
            return apply_pretrained(load, params, spread)

        return init

    def indices(self, split: str) -> np.ndarray:
        """Row indices ``[S, n]`` of ``train``, ``validation`` or ``test``, by seed."""
        return np.stack([getattr(part, split) for part in self.splits])

    def describe_splits(self) -> dict[str, Any]:
        """The content of ``splits.json``."""
        data = self.experiment.data
        described = {
            "rule": SPLIT_RULE,
            "dataset": data.dataset,
            "digest": self.opened.digest(),
            "sizes": {name: len(part) for name, part in self.splits[0]._asdict().items()},
            "split_seed": data.split_seed,
            "seeds": {
                str(seed): split_digest(split)
                for seed, split in zip(self.experiment.seeds.values, self.splits, strict=True)
            },
        }
        if is_own(data.dataset):
            described["rule"] = "as the data say, and their options; see docs/your_data.md"
        if isinstance(self.opened, PreparedData):
            described["rule"] = "as published; see the data set's own provenance"
            described["provenance"] = dict(self.opened.builder.provenance)
            described["damaged"] = dict(self.opened.builder.damaged)
        return described


def build_problem(
    experiment: Experiment,
    make_placement: Callable[[int, int], Placement],
    data: Data | None = None,
    inputs: InputConfig | None = None,
    fitted: Any = None,
    statistics: Statistics | None = None,
) -> Problem:
    """Opens the data, splits it for every seed, and puts on the devices what fits there.

    Args:
      experiment: the configuration.
      make_placement: ``(number of seeds, batch size) -> Placement``.
      data: the data set; by default the one the configuration names.
      inputs: where prepared data are, and how they are read.
      fitted: what decoding needs to know of the training samples, as a run saved it; found anew
        when None.
      statistics: ``{m: (mean [S, D], std [S, D])}``, as a run saved them; found anew, which reads
        all training samples, when None.

    Raises:
      ValueError: an unknown data set or metric, or data that are not prepared, too few samples for
        the splits, a batch larger than the training set, features that no encoder fits, or options
        for a modality that the data do not have.
    """
    inputs = InputConfig() if inputs is None else inputs
    data = opened = open_data(experiment.data.dataset, inputs) if data is None else data
    known = tuple(OF_TARGETS) if data.is_regression else METRICS
    check_choice(f"the metric of {data.name}", data.metric, known)
    config, seeds = experiment.data, experiment.seeds.values
    if config.modalities:
        for name in ("encoders", "weights"):
            check_known(name, getattr(experiment.model, name), data.modalities)
        data = opened = opened.select(config.modalities)
    check_encoders_named(experiment.optimization, data.modalities)

    def split(seed: int, train_size: int | None) -> Split:
        return opened.split(
            seed=seed,
            train_size=train_size,
            validation_size=config.validation_size,
            test_size=config.test_size,
            split_seed=config.split_seed,
        )

    corruption = corrupt(
        experiment.corruption, data, [split(seed, config.train_size) for seed in seeds], seeds
    )
    train = np.stack([part.train for part in corruption.splits])
    batch_size = experiment.optimization.batch_size
    check_classes(experiment.optimization, data)
    batches = training_order(experiment, corruption.train_labels, train, batch_size)
    placement = make_placement(len(seeds), batch_size)
    if isinstance(data, PreparedData):
        if fitted is None:
            # Of all training rows, so that every seed sees its samples alike.
            fitted = data.fit(split(0, None).train)
        data.reader.fitted = fitted
        if data.builder.IN_MEMORY:
            data = data.in_memory()
    ahead = ReadAhead(inputs.workers, inputs.threads)
    if statistics is None:
        statistics = training_statistics(experiment.corruption, data, corruption, train, ahead)
    resident = {} if isinstance(data, PreparedData) else _compact(data)
    problem = Problem(
        experiment=experiment,
        placement=placement,
        data=data,
        opened=opened,
        splits=corruption.splits,
        corruption=corruption,
        fitted=fitted,
        resident=placement.put(resident, placement.replicated),
        host_statistics=statistics,
        statistics=placement.put(statistics, placement.seeds),
        batches=batches,
        targets=target_scale(data.labels, train) if data.is_regression else None,
        ahead=ahead,
    )
    _ = problem.class_weights  # Complains of classes that the data do not have.
    problem.network(experiment.model.fusion)  # Complains of features that no encoder fits.
    return problem


def _compact(data: MultimodalData) -> dict[str, Any]:
    """All rows for the devices: real numbers as float32, unless fewer bytes say as much."""

    def compact(array: np.ndarray) -> np.ndarray:
        pixels = array.ndim > 2 and np.issubdtype(array.dtype, np.integer) and array.itemsize < 4
        return array if array.dtype == np.bool_ or pixels else array.astype(np.float32)

    return {
        m: {**tree, "tokens": tree["tokens"].astype(np.int32)}
        if data.modality_specs[m].kind == "tokens"
        else jax.tree.map(compact, tree)
        for m, tree in data.features.items()
    }
