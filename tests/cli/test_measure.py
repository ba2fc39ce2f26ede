"""``masam measure``: numbers, tables and pictures of a finished run."""

import json

import jax
import numpy as np
import pytest

from masam_jax.analysis.surface_plots import surface_plots
from masam_jax.cli import command_line as cli
from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.geometry import hessian_trace, load_surface, loss_surface, trajectory_plane
from masam_jax.geometry.of_runs import open_losses
from tests.saved_runs import save_run

METHOD = "masam:rho=1"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    experiment = Experiment(
        data=DataConfig("synthetic:dominance=2/1,num_classes=3,samples=120", 24, 20, 20),
        model=ModelConfig(width=3, depth=1),
        optimization=OptimizationConfig(steps=4, batch_size=8),
        seeds=SeedConfig(2),
    )
    place = tmp_path_factory.mktemp("saved") / "run"
    return save_run(place, ["late_fusion", METHOD], experiment)


def test_numbers_tables_and_pictures(saved, capsys):
    words = ["--measure", "trace,sharpness,surface", "--samples", "20", "--points", "3"]
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main(["measure", str(saved), *words, "--relative-error", "0.5"]) == 0
    assert "Hessian trace" in capsys.readouterr().out
    place = saved / "measures"
    found = json.loads((place / "measures.json").read_text())
    assert (found["samples"], found["seeds"], found["loss"]) == (20, [0, 1], "fusion")
    assert [method["spec"] for method in found["methods"]] == ["late_fusion", METHOD]
    traces = found["methods"][1]["measures"]["trace"]
    assert list(traces) == ["all", "m0", "m1", "other"]
    run = open_losses(saved, METHOD, samples=20)
    params, batches = run.of_seed(1)
    loss = np.mean([run.loss()(params, batch) for batch in batches])
    assert traces["m1"][1]["loss"] == pytest.approx(loss, rel=1e-5)
    own = hessian_trace(
        run.loss(), params, batches, labels=run.labels, key=jax.random.key(9), relative_error=0.2
    )["m1"]
    error = np.hypot(own.standard_error, traces["m1"][1]["standard_error"])
    assert abs(own.mean - traces["m1"][1]["mean"]) < 5 * error
    surface = load_surface(place / "surfaces" / "masam_rho-1" / "m0.npz")
    assert surface.modality == "m0"
    assert surface.losses.shape == (3, 3)
    assert surface.losses[1, 1] == pytest.approx(surface.centre, rel=1e-5)
    for name in ("contours.png", "contours.svg", "hills.png"):
        assert (place / "plots" / f"surface-masam-rho-1-{name}").is_file()
    for name in ("losses-and-norms.csv", "trace.tex", "sharpness.csv", "tables.md", "report.html"):
        assert (place / name).is_file()


def test_along_training_from_the_command_line(tmp_path):
    """Records, loggers, the report, and the plane of the trajectory."""
    place = tmp_path / "run"
    words = ["--dataset", "synthetic:dominance=2/1,samples=120", "--train-size", "24"]
    words += ["--validation-size", "20", "--test-size", "20", "--width", "3", "--depth", "1"]
    words += ["--steps", "6", "--batch-size", "12", "--seeds", "2", "--loggers", "csv"]
    words += ["--measure", "trace,sharpness", "--measure-every", "1", "--keep-parameters", "1"]
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main(["train", *words, "--output", str(place)]) == 0
    records = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    measured = [record for record in records if record["split"] == "geometry"]
    assert [record["step"] for record in measured] == [2, 4, 6]
    names = {"step", "split", "loss", "norm", "trace", "trace_error", "sharpness"}
    assert set(measured[0]) == names
    assert "geometry/trace/m1" in (place / "metrics.csv").read_text()
    assert "Sharpness over training" in (place / "report.html").read_text()
    run = open_losses(place)
    steps = run.trajectory(1)
    assert list(steps) == [0, 2, 4, 6]
    plane = trajectory_plane(list(steps.values()))
    found = loss_surface(
        run.loss(),
        *run.of_seed(1),
        directions=plane.directions,
        points=3,
        extent=plane.extent(),
    )
    plots = surface_plots({"all": found}, "plane", "MASAM", trajectory=plane.coordinates)
    (drawn,) = [line for line in plots[0].figure.axes[0].get_lines() if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(drawn.get_xydata(), plane.coordinates)


def test_a_run_without_copies_says_so(saved):
    with pytest.raises(RunError, match="train with --keep-parameters EPOCHS"):
        open_losses(saved, METHOD).trajectory(0)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--measure", "trase"], "unknown quantity 'trase'; did you mean 'trace'"),
        (["--loss", "m7"], "which must be one of"),
        (["--samples", "25"], "there are 24 train samples"),
        (["--seeds", "3"], "must be an integer in [1, 2]"),
        (["--output", "{run}"], "is a file or a run's directory"),
    ],
)
def test_mistakes(saved, words, message, capsys):
    words = [word.format(run=saved) for word in words]
    assert cli.main(["measure", str(saved), "--method", METHOD, *words]) == 2
    assert message in capsys.readouterr().err
