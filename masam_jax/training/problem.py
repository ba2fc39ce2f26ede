"""What all methods of a comparison share: data, splits, statistics, network, order of batches."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from masam_jax import multimodal_value_and_grad
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
from masam_jax.models import ConvEncoder, LateFusionNetwork, MLPEncoder, cross_entropy_objective
from masam_jax.training.config import Experiment, ModelConfig
from masam_jax.training.distribution import Placement

ValueAndGrad = Callable[..., Any]

# The stream of a seed's key that initial parameters are drawn from; methods have stream 1.
_PARAMETERS = 0


@dataclasses.dataclass(frozen=True)
class Problem:
    """Data and network of an experiment, the same for every method.

    Attributes:
      experiment: the configuration it was built from.
      placement: where arrays live.
      data: the data set, on the host.
      splits: one for each seed.
      network: encoders and heads.
      rows: ``{"inputs": {m: [N, ...]}, "labels": [N]}`` on the devices.
      host_statistics: ``{m: (mean [S, D], std [S, D])}`` of each seed's training rows.
      statistics: the same, on the devices.
      batches: element t holds the row indices of step t, int32 ``[S, B]``.
    """

    experiment: Experiment
    placement: Placement
    data: MultimodalData
    splits: tuple[Split, ...]
    network: LateFusionNetwork
    rows: dict[str, Any]
    host_statistics: Statistics
    statistics: dict[str, Any]
    batches: grain.MapDataset

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self.data.modalities

    @functools.cached_property
    def initial_params(self) -> Any:
        """Parameters ``[S, ...]`` before the first step, the same for every method."""
        # Random numbers compile slowly and this runs once: measured on CPU, 3 s instead of 13.
        options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}
        init = jax.jit(
            jax.vmap(self.init_params),
            out_shardings=self.placement.seeds,
            compiler_options=options,
        )
        return init(self.seed_keys)

    @functools.cached_property
    def seed_keys(self) -> jax.Array:
        """uint32[S, 2], one PRNG key for each seed."""
        keys = [np.asarray(jax.random.PRNGKey(seed)) for seed in self.experiment.seeds.values]
        return self.placement.put(np.stack(keys), self.placement.seeds)

    def init_params(self, key: jax.Array) -> Any:
        """Parameters of one seed, from its key."""
        return self.network.init(jax.random.fold_in(key, _PARAMETERS))

    def indices(self, split: str) -> np.ndarray:
        """Row indices ``[S, n]`` of ``train``, ``validation`` or ``test``, by seed."""
        return np.stack([getattr(part, split) for part in self.splits])

    def value_and_grad(self, loss_weight: float) -> ValueAndGrad:
        """``(params, rows, statistics, indices [B]) -> (losses, grads, signals)`` of one seed.

        ``losses.aux`` is the batch's accuracy.

        Args:
          loss_weight: λ of every unimodal loss.
        """
        inner = multimodal_value_and_grad(
            self.network.late_fusion(_objective), loss_weights=loss_weight, has_aux=True
        )

        def value_and_grad(params: Any, rows: Any, statistics: Any, indices: jax.Array) -> Any:
            return inner(params, *gather(rows, statistics, indices))

        return value_and_grad

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
    network = build_network(data, experiment.model)
    placement = make_placement(len(seeds), batch_size)
    statistics = feature_statistics(data.features, train)
    rows = {"inputs": {m: _as_float(x) for m, x in data.features.items()}, "labels": data.labels}
    return Problem(
        experiment=experiment,
        placement=placement,
        data=data,
        splits=splits,
        network=network,
        rows=placement.put(rows, placement.replicated),
        host_statistics=statistics,
        statistics=placement.put(statistics, placement.seeds),
        batches=batches,
    )


def build_network(data: MultimodalData, config: ModelConfig) -> LateFusionNetwork:
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
    return LateFusionNetwork(encoders, dict.fromkeys(encoders, config.width), data.num_classes)


def _make(kind: Callable[..., nnx.Module], rngs: nnx.Rngs) -> nnx.Module:
    return kind(rngs=rngs)


def _objective(logits: jax.Array, unimodal_logits: dict[str, jax.Array], labels: jax.Array) -> Any:
    fusion, unimodal = cross_entropy_objective(logits, unimodal_logits, labels)
    correct = jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels
    return fusion, unimodal, jnp.mean(correct.astype(jnp.float32))


def _as_float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)
