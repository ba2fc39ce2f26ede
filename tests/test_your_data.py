"""The commands and the function of docs/your_data.md, run one after the other as they stand."""

import re
import shlex

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.data.own.dataset_toml import SETTINGS
from masam_jax.data.own.options import OwnOptions
from tests.data.own.small_files import small_columns, write_csv
from tests.test_house import ROOT

PAGE = (ROOT / "docs" / "your_data.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (masam .+)$", PAGE, re.MULTILINE)
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
TINY = ["--steps", "2", "--seeds", "1", "--batch-size", "8", "--width", "4", "--no-plots"]


def test_the_page_is_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "trees.csv", small_columns())
    (tmp_path / "my_data.py").write_text(BLOCKS["python"])
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if words[0] in ("train", "compare"):
            words += TINY
        if words[0] == "compare":
            words += ["--methods", "late_fusion", "masam:rho=12", "--output", "runs/compared"]
        if words[:2] == ["datasets", "info"]:
            # As the page says, it was changed by then.
            (tmp_path / "dataset.toml").write_text(BLOCKS["toml"])
        assert cli.main(words) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "motion" in output
    assert (tmp_path / "predictions.csv").is_file()
    assert (tmp_path / "contact_sheet.png").is_file()


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_kind_and_its_settings_are_on_the_page(kind):
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{kind}`" in line)
    assert all(f"`{name}`" in row for name in SETTINGS[kind] if kind != "tokens")


def test_every_option_is_on_the_page():
    for name in OwnOptions.__dataclass_fields__:
        assert f"`{name}`" in PAGE
