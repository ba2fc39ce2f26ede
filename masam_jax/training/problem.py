"""What all methods of a comparison share: data, splits, statistics, network, order of batches."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import grain
import jax
import numpy as np
from flax import nnx

from masam_jax.data import (
    SPLIT_RULE,
    MultimodalData,
    Split,
    feature_statistics,
    index_batches,
    load_dataset,
    make_split,
    split_digest,
    standardize,
)
from masam_jax.data.statistics import Statistics
from masam_jax.models import ConvEncoder, LateFusionNetwork, MLPEncoder
from masam_jax.training.config import Experiment, ModelConfig
from masam_jax.training.distribution import Placement

# The stream of a seed's key that initial parameters are drawn from; methods have 1 and 2.
_PARAMETERS = 0


@dataclasses.dataclass(frozen=True)
class Problem:
    """Data and network of an experiment, the same for every method.

    Attributes:
      experiment: the configuration it was built from.
      placement: where arrays live.
      data: the data set, on the host.
      splits: one for each seed.
      rows: ``{"inputs": {m: [N, ...]}, "labels": [N]}`` on the devices.
      host_statistics: ``{m: (mean [S, D], std [S, D])}`` of each seed's training rows.
      statistics: the same, on the devices.
      batches: element t holds the row indices of step t, int32 ``[S, B]``.
    """

    experiment: Experiment
    placement: Placement
    data: MultimodalData
    splits: tuple[Split, ...]
    rows: dict[str, Any]
    host_statistics: Statistics
    statistics: dict[str, Any]
    batches: grain.MapDataset
    _networks: dict[str, LateFusionNetwork] = dataclasses.field(default_factory=dict, repr=False)
    _initial_params: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self.data.modalities

    @functools.cached_property
    def seed_keys(self) -> jax.Array:
        """uint32[S, 2], one PRNG key for each seed."""
        keys = [np.asarray(jax.random.PRNGKey(seed)) for seed in self.experiment.seeds.values]
        return self.placement.put(np.stack(keys), self.placement.seeds)

    def network(self, fusion: str) -> LateFusionNetwork:
        """Encoders and heads, with that fusion head."""
        if fusion not in self._networks:
            self._networks[fusion] = build_network(self.data, self.experiment.model, fusion)
        return self._networks[fusion]

    def init_params(self, key: jax.Array, fusion: str) -> Any:
        """Parameters of one seed's network, from its key."""
        return self.network(fusion).init(jax.random.fold_in(key, _PARAMETERS))

    def initial_params(self, fusion: str) -> Any:
        """Parameters ``[S, ...]`` before the first step, the same for every method."""
        if fusion not in self._initial_params:
            # Random numbers compile slowly and this runs once: measured on CPU, 3 s instead of 13.
            on_cpu = jax.default_backend() == "cpu"
            init = jax.jit(
                jax.vmap(functools.partial(self.init_params, fusion=fusion)),
                out_shardings=self.placement.seeds,
                compiler_options={"xla_backend_optimization_level": 0} if on_cpu else {},
            )
            self._initial_params[fusion] = init(self.seed_keys)
        return self._initial_params[fusion]

    def indices(self, split: str) -> np.ndarray:
        """Row indices ``[S, n]`` of ``train``, ``validation`` or ``test``, by seed."""
        return np.stack([getattr(part, split) for part in self.splits])

    def describe_splits(self) -> dict[str, Any]:
        """The content of ``splits.json``."""
        data = self.experiment.data
        return {
            "rule": SPLIT_RULE,
            "dataset": data.dataset,
            "sizes": {name: len(part) for name, part in self.splits[0]._asdict().items()},
            "split_seed": data.split_seed,
            "seeds": {
                str(seed): split_digest(split)
                for seed, split in zip(self.experiment.seeds.values, self.splits, strict=True)
            },
        }


def gather(
    rows: Any, statistics: Any, indices: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Standardised inputs and labels of the rows ``indices [B]``, for one seed's statistics."""
    inputs = {m: features[indices] for m, features in rows["inputs"].items()}
    return standardize(inputs, statistics), rows["labels"][indices]


def build_problem(
    experiment: Experiment,
    make_placement: Callable[[int, int], Placement],
    data: MultimodalData | None = None,
) -> Problem:
    """Loads the data, splits it for every seed, and puts it on the devices.

    Args:
      experiment: the configuration.
      make_placement: ``(number of seeds, batch size) -> Placement``.
      data: the data set; by default the one the configuration names.

    Raises:
      ValueError: an unknown data set, too few samples for the splits, a batch larger than the
        training set, or features that no encoder fits.
    """
    if data is None:
        data = load_dataset(experiment.data.dataset)
    seeds = experiment.seeds.values
    splits = tuple(
        make_split(
            data.labels,
            seed=seed,
            train_size=experiment.data.train_size,
            validation_size=experiment.data.validation_size,
            test_size=experiment.data.test_size,
            split_seed=experiment.data.split_seed,
        )
        for seed in seeds
    )
    train = np.stack([split.train for split in splits])
    batch_size = experiment.optimization.batch_size
    batches = index_batches(train, batch_size=batch_size, seeds=seeds)
    placement = make_placement(len(seeds), batch_size)
    statistics = feature_statistics(data.features, train)
    rows = {"inputs": {m: _as_float(x) for m, x in data.features.items()}, "labels": data.labels}
    problem = Problem(
        experiment=experiment,
        placement=placement,
        data=data,
        splits=splits,
        rows=placement.put(rows, placement.replicated),
        host_statistics=statistics,
        statistics=placement.put(statistics, placement.seeds),
        batches=batches,
    )
    problem.network(experiment.model.fusion)  # Complains of features that no encoder fits.
    return problem


def build_network(data: MultimodalData, config: ModelConfig, fusion: str) -> LateFusionNetwork:
    """An MLP for each modality of vectors, a small convolutional net for each one of images.

    Raises:
      ValueError: a modality is neither.
    """
    encoders = {}
    for modality, shape in data.feature_shapes.items():
        kind: Callable[..., nnx.Module]
        if len(shape) == 1:
            kind = functools.partial(MLPEncoder, shape[0], config.width, config.depth)
        elif len(shape) == 3:
            kind = functools.partial(ConvEncoder, shape[-1], config.width)
        else:
            raise ValueError(
                f"modality {modality!r} of {data.name!r} has samples of shape {shape}; vectors (D,)"
                " and images (H, W, C) have encoders"
            )
        encoders[modality] = functools.partial(_make, kind)
    features = dict.fromkeys(encoders, config.width)
    return LateFusionNetwork(encoders, features, data.num_classes, fusion=fusion)


def _make(kind: Callable[..., nnx.Module], rngs: nnx.Rngs) -> nnx.Module:
    return kind(rngs=rngs)


def _as_float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)
