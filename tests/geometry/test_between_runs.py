"""Two methods of a comparison, and what lies between them."""

import jax
import numpy as np
import pytest

from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.geometry.between_runs import connect_runs, encoder_similarity
from masam_jax.geometry.of_runs import open_losses
from masam_jax.geometry.similarity import cka
from tests.promotion import standard_promotion  # noqa: F401 - a fixture
from tests.saved_runs import save_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Checkpoints of made-up numbers, which `save_run` makes the same for all methods."""
    experiment = Experiment(
        data=DataConfig("synthetic:dominance=2/1,num_classes=3,samples=120", 24, 20, 20),
        model=ModelConfig(width=4, depth=2, encoders=("m0=ffn",)),
        optimization=OptimizationConfig(steps=4, batch_size=8),
        seeds=SeedConfig(2),
    )
    place = save_run(
        tmp_path_factory.mktemp("runs") / "run", ["late_fusion", "fusion_only"], experiment
    )
    first, second = (
        open_losses(place, method, checkpoint=which)
        for method, which in (("late_fusion", "last"), ("fusion_only", "best"))
    )
    return place, first, second


def test_both_ends_are_the_runs_own(runs):
    _, first, second = runs
    for which in ("fusion", "m1"):
        path = connect_runs(first, second, 1, which, points=3)
        for run, end in ((first, 0), (second, -1)):
            params, (batch,) = run.of_seed(1)
            # With batch normalisation's statistics of that run.
            np.testing.assert_allclose(path.losses[end], run.loss(which)(params, batch), rtol=1e-5)
    errors = connect_runs(first, second, 0, "error", points=2)
    params, (batch,) = first.of_seed(0)
    assert errors.losses[0] == pytest.approx(1 - float(first.accuracy(params, batch)), abs=1e-6)


def test_the_encoders_of_a_run_are_like_themselves(runs):
    _, first, second = runs
    assert encoder_similarity(first, first, 0) == pytest.approx({"m0": 1, "m1": 1})
    found = encoder_similarity(first, second, 0, unbiased=True)
    features = [
        np.asarray(run.features("m1")(*_first_batch(run)), np.float64) for run in (first, second)
    ]
    assert found["m1"] == pytest.approx(cka(*features, unbiased=True), rel=1e-4)


def _first_batch(run):
    params, batches = run.of_seed(0)
    return params, batches[0]


def test_other_samples_or_seeds(runs):
    place, first, _ = runs
    fewer = open_losses(place, "fusion_only", samples=10)
    with pytest.raises(RunError, match="other samples for seed 0"):
        connect_runs(first, fewer, 0)
    with pytest.raises(RunError, match="seed=7 is none of the run's"):
        encoder_similarity(first, first, 7)
    with pytest.raises(RunError, match="which must be one of"):
        connect_runs(first, first, 0, "m9")


def test_fewer_seeds(runs):
    _, first, _ = runs
    one = first.first(1)
    assert one.seeds == (0,)
    assert jax.tree.leaves(one.of_all_seeds.params)[0].shape[0] == 1
    with pytest.raises(ValueError, match=r"seeds must be an integer in \[1, 2\], got 3"):
        first.first(3)
