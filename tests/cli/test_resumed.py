"""``--resume DIRECTORY``: nothing else has to be said again."""

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli.words import parse
from masam_jax.config.errors import RunError

SMALL = [
    *("--seeds", "2", "--steps", "4", "--train-size", "20", "--batch-size", "10", "--width", "4"),
    *("--log-every", "2", "--evaluate-every", "2", "--checkpoint-every", "2", "--no-plots"),
]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    path = tmp_path_factory.mktemp("resumed") / "runs" / "mine"
    words = ["compare", "--methods", "late_fusion", "sam:rho=0.5", "--baseline", "sam:rho=0.5"]
    assert cli.main([*words, *SMALL, "--threads", "3", "--output", str(path)]) == 0
    return path


def test_a_run_goes_on_with_its_own_options(comparison, capsys):
    results = (comparison / "results.json").read_bytes()
    (comparison / "results.json").unlink()
    (comparison / "methods" / "late_fusion" / "result.json").unlink()
    assert cli.main(["compare", "--resume", str(comparison), "--no-plots"]) == 0
    assert "late fusion" in capsys.readouterr().out
    found = parse(["compare", f"--resume={comparison}"])
    assert found.methods == ("late_fusion", "sam:rho=0.5")
    assert found.baseline == "sam:rho=0.5"
    assert found.experiment.optimization.steps == 4
    assert found.inputs.threads == 3
    assert (found.output.output, found.output.resume) == (str(comparison), True)
    assert (comparison / "results.json").stat().st_size == pytest.approx(len(results), rel=0.1)


def test_what_is_given_is_compared_as_ever(comparison, capsys):
    assert cli.main(["compare", "--resume", str(comparison), "--width", "5"]) == 2
    assert "model.width: 4 -> 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["train"], "was written by masam compare; masam compare --resume .*mine goes on with it"),
        (["tune"], "was written by masam compare"),
        (["compare", "--output", "x"], "--resume .*mine and --output exclude each other"),
    ],
)
def test_a_run_that_cannot_go_on_so(comparison, words, message):
    with pytest.raises(RunError, match=message):
        parse([*words, "--resume", str(comparison)])


def test_no_run(tmp_path, capsys):
    assert cli.main(["train", "--resume", str(tmp_path / "none")]) == 2
    assert "none is no directory; expected a run directory" in capsys.readouterr().err


def test_a_tuning_goes_on_with_its_own_options(tmp_path, capsys):
    path = tmp_path / "tuning"
    words = ["tune", "--methods", "sam", "--trials", "1", "--tune-seeds", "2", "--seed-offset", "7"]
    length = ["--steps", "4", "--train-size", "20", "--batch-size", "10", "--width", "4"]
    assert cli.main([*words, *length, "--label-noise", "0.2", "--output", str(path)]) == 0
    capsys.readouterr()
    assert cli.main(["tune", "--resume", str(path)]) == 0
    assert "sam" in capsys.readouterr().out
