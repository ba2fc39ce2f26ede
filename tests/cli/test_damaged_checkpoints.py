"""A damaged checkpoint is named by every command; an older one is taken where that is asked for."""

import json

import jax
import pytest

from masam_jax.cli import command_line as cli
from masam_jax.config.errors import RunError
from masam_jax.predict import load_predictor
from tests.cli.small_commands import SMALL, end_of, flat


def test_damaged_checkpoint_is_named(tmp_path, capsys):
    path = tmp_path / "run"
    words = ["train", "--method", "late_fusion", *SMALL, "--no-plots", "--output", str(path)]
    assert cli.main(words) == 0
    (path / "result.json").unlink()
    for file in (path / "checkpoints" / "6" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    code, errors = end_of(capsys, *words, "--resume")
    assert code == 2
    assert "checkpoints/6 is damaged" in errors
    code, errors = end_of(capsys, "evaluate", str(path))
    assert code == 2
    assert "checkpoints/6 is damaged" in errors


def _flip_last_checkpoint(path):
    """Turns one bit over in an array of the last checkpoint; the step of the one before."""
    steps = sorted(int(entry.name) for entry in (path / "checkpoints").iterdir())
    files = [f for f in (path / "checkpoints" / str(steps[-1])).rglob("d/*") if f.is_file()]
    file = max(files, key=lambda entry: entry.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 8
    file.write_bytes(content)
    return steps[-2]


def test_falling_back_ends_with_the_same_numbers(tmp_path, capsys):
    """One bit of the last checkpoint: noticed by everybody, and mended when that is asked for."""
    path = tmp_path / "run"
    words = ["train", "--method", "masam:rho=1", *SMALL, "--no-plots", "--output", str(path)]
    assert cli.main(words) == 0
    result = json.loads((path / "result.json").read_text())
    metrics = (path / "metrics.jsonl").read_bytes()
    (path / "result.json").unlink()
    before = _flip_last_checkpoint(path)
    offer = f"the one of step {before} is whole: --fall-back takes it"
    for command in ([*words, "--resume"], ["evaluate", str(path)]):
        code, errors = end_of(capsys, *command)
        assert code == 2
        assert offer in errors
    with pytest.raises(RunError, match=offer):
        load_predictor(path)
    assert cli.main(["evaluate", str(path), "--fall-back"]) == 0
    assert f" {before} " in capsys.readouterr().out
    assert load_predictor(path, fall_back=True).seeds == (0, 1)
    code, errors = end_of(capsys, *words, "--fall-back")
    assert (code, "--fall-back needs --resume" in errors) == (2, True)
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main([*words, "--resume", "--fall-back"]) == 0
    assert f"the checkpoint of step 6 is damaged; going on from step {before}" in flat(
        capsys.readouterr().out
    )
    again = json.loads((path / "result.json").read_text())
    assert [again[part] for part in ("steps", "test", "validation")] == [
        result[part] for part in ("steps", "test", "validation")
    ]
    assert (path / "metrics.jsonl").read_bytes() == metrics
