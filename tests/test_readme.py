"""What README.md shows on a table of one's own, run on one."""

import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import masam_jax
from masam_jax.cli import command_line

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SMALL = {"steps": "3", "seeds": "2", "width": "4", "batch_size": "16", "log_every": "1"}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """``table.csv``, in the folder that is the current one: two groups of columns, two species."""
    rng = np.random.default_rng(0)
    species = np.array(["setosa", "virginica"] * 40)
    shifts = (species == "setosa")[:, None] * np.array([1.0, 1.0, 0.5, 0.5])
    columns = ["petal_0", "petal_1", "sepal_0", "sepal_1"]
    frame = pd.DataFrame(rng.normal(size=(80, 4)) + shifts, columns=columns)
    monkeypatch.chdir(tmp_path)
    frame.assign(species=species).to_csv("table.csv", index=False)


def test_the_command_on_a_table(table, capsys):
    (line,) = re.findall(r"^    masam (compare --dataset .+\\\n.+)$", README, flags=re.MULTILINE)
    words = shlex.split(line.replace("\\\n", " "))
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    position = words.index("--seeds")
    del words[position : position + 2]
    assert command_line.main([*words, *small, "--no-plots", "--output", "run"]) == 0
    assert "table: 2 modalities, 56 training samples, 2 seeds" in capsys.readouterr().out


def test_the_three_lines_of_python(table):
    (code,) = re.findall(r"^(    results = .+\n    .+\n    .+)$", README, flags=re.MULTILINE)
    small = ", ".join(f"{name}={value}" for name, value in SMALL.items())
    found = {"masam_jax": masam_jax}
    exec(textwrap.dedent(code).replace("seeds=8", f"{small}, progress=False"), found)
    assert list(found["results"].table.index) == ["late fusion", "MASAM ρ=12"]
    assert Path("runs/species/report.html").is_file()
