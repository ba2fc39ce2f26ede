"""Losses over the samples that have a modality: a batch in parts has the whole batch's."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import LateFusion, multimodal_value_and_grad
from masam_jax.core.losses import WeightedMean
from masam_jax.methods.g_blend import GBlendObjective
from masam_jax.methods.mla import MlaObjective
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE
from masam_jax.methods.unimodal import UnimodalObjective
from masam_jax.models import LateFusionNetwork
from masam_jax.models.mlp import MLPEncoder

BATCH = 12
DIMENSIONS = {"a": 3, "v": 4}
OBJECTIVES = {
    "late fusion": LATE_FUSION_OBJECTIVE,
    "g_blend": GBlendObjective(trial_steps=1),
    "unimodal": UnimodalObjective(),
    "mla": MlaObjective(),
}


@pytest.mark.parametrize(
    ("name", "multi_label"),
    [
        (name, flag)
        for name in OBJECTIVES
        for flag in (False, True)
        if (name, flag) != ("mla", True)
    ],
)
def test_parts_weigh_by_their_samples(name, multi_label):
    encoders = {m: functools.partial(MLPEncoder, dim, 5, 2) for m, dim in DIMENSIONS.items()}
    sizes = dict.fromkeys(DIMENSIONS, 5)
    network = LateFusionNetwork(encoders, sizes, 3, multi_label=multi_label)
    objective = OBJECTIVES[name]
    params = network.init(jax.random.key(0))
    further = objective.init_params(network, jax.random.key(1))
    params |= {"method": further} if further else {}
    state = objective.init_state(network, params)
    draws = np.random.default_rng(0)
    inputs = {m: draws.normal(size=(BATCH, dim)) for m, dim in DIMENSIONS.items()}
    labels = draws.integers(0, 2, (BATCH, 3) if multi_label else BATCH)
    # Samples 0, 3, 6, 9 and so on share a part: one has none of "v", another one sample of it.
    present = {"a": np.arange(BATCH) != 4, "v": np.isin(np.arange(BATCH), [0, 3, 4, 9])}
    # MLA takes modalities in turn.
    modalities = ("v",) if name == "mla" else tuple(DIMENSIONS)

    def loss(params, features, inputs, labels, present):
        found = objective.losses(network, params, features, labels, state, present=present)
        assert all(isinstance(each, WeightedMean) for each in found.unimodal.values())
        return found.fusion, found.unimodal

    encoders = {
        m: lambda params, inputs, labels, present, m=m: network.encode(params, m, inputs[m])
        for m in modalities
    }
    operands = (
        jax.tree.map(jnp.float32, inputs),
        jnp.asarray(labels, jnp.int32),
        jax.tree.map(jnp.asarray, present),
    )
    whole, parts = (
        jax.jit(multimodal_value_and_grad(LateFusion(encoders, loss), microbatches=count))(
            params, *operands
        )
        for count in (1, 3)
    )
    chex.assert_trees_all_close(parts[:2], whole[:2], rtol=1e-4, atol=1e-6)
    for signal in ("fusion_grads", "unimodal_grads"):
        chex.assert_trees_all_close(parts[2][signal], whole[2][signal], rtol=1e-4, atol=1e-6)
