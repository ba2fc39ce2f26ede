"""Training problems of shapes alone, on devices that need not be there.

Nothing is computed for them, so that programs of any size can be compiled on a small machine.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.mesh import LARGE, ShardingRule
from masam_jax.data import MultimodalData
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.training.distribution import Placement, make_placement
from masam_jax.training.problem import Problem, build_problem

NetworkName = Literal["resnet18", "transformer", "mlp"]
Precision = Literal["float32", "bfloat16"]
Layout = Literal["data", "fsdp"]
CLASSES = 10
# Of validation and of test, which no step sees.
_HELD_OUT = 10


class _Network(NamedTuple):
    sample: Modality
    encoder: str
    width: int
    depth: int


_AS_THEY_ARE = Normalization("none")
# Group normalisation, since batch normalisation over devices has collectives of its own in every
# layer.
_NETWORKS: Mapping[str, _Network] = {
    "resnet18": _Network(
        Modality("image", (224, 224, 3), np.uint8, IMAGENET),
        "resnet18:norm=group,project=false",
        width=512,
        depth=1,
    ),
    "transformer": _Network(
        Modality("sequence", (128, 128), normalization=_AS_THEY_ARE),
        "transformer:heads=8",
        width=512,
        depth=6,
    ),
    "mlp": _Network(
        Modality("vector", (256,), normalization=_AS_THEY_ARE), "mlp", width=256, depth=4
    ),
}


class AbstractPlacement(Placement):
    """A placement that puts nothing anywhere: arrays become shapes with a sharding."""

    def put(self, tree: Any, sharding: NamedSharding) -> Any:
        """Shapes and dtypes of arrays, laid out so."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
        )


def place(devices: Sequence[jax.Device], layout: Layout) -> AbstractPlacement:
    """Every device has its samples of a batch.

    Args:
      devices: those of the mesh.
      layout: "data" for parameters on every device, "fsdp" for each large one laid over all.
    """
    over_data = ShardingRule("", LARGE.pattern, ("data",), least=LARGE.least)
    axes = {"seeds": 1, "data": len(devices), "model": 1}
    placement = make_placement(1, len(devices), devices, axes=axes)
    return AbstractPlacement(placement.mesh, (over_data,) if layout == "fsdp" else ())


def abstract_problem(
    name: NetworkName,
    modalities: int,
    batch_size: int,
    precision: Precision,
    placement: AbstractPlacement,
) -> Problem:
    """A problem of encoders of equal cost, whose features are concatenated, for one seed.

    Args:
      name: "resnet18" on 224 × 224 images, "transformer" of six blocks of width 512 on 128 steps,
        or "mlp" of four layers of width 256.
      modalities: how many encoders.
      batch_size: samples on all devices together.
      precision: of the computation; parameters are float32.
      placement: where arrays would live.
    """
    network, names = _NETWORKS[name], [f"modality_{i}" for i in range(modalities)]
    samples = batch_size + 2 * _HELD_OUT
    features = jax.tree.map(
        lambda zeros: np.broadcast_to(zeros, (samples, *zeros.shape)), network.sample.template
    )
    if network.sample.kind == "sequence":
        features["mask"] = np.ones_like(features["mask"])
    data = MultimodalData(
        "shapes",
        dict.fromkeys(names, features),
        np.arange(samples) % CLASSES,
        CLASSES,
        dict.fromkeys(names, network.sample),
    )
    experiment = Experiment(
        data=DataConfig("shapes", train_size=None, validation_size=_HELD_OUT, test_size=_HELD_OUT),
        model=ModelConfig(
            network.width,
            network.depth,
            encoders=tuple(f"{m}={network.encoder}" for m in names),
            dtype=precision,
        ),
        optimization=OptimizationConfig(batch_size=batch_size),
        seeds=SeedConfig(1),
    )
    return build_problem(experiment, lambda seeds, batch: placement, data)
