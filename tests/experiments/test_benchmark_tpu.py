"""Steps compiled for TPUs: from the settings to the file, in little."""

import dataclasses
import json

import jax
import pytest

from experiments import benchmark_tpu
from experiments.benchmark_tpu import EVERYTHING, Settings, main, verdict
from experiments.compiled_cost import CompiledCost
from experiments.compiled_rows import Group, Row, read_rows, rows_of, write_rows
from experiments.core_steps import BASELINE, SWITCH
from experiments.tpu_steps import STEPS
from experiments.tpu_topologies import has_compiler

GROUP = Group("v5e:2x4", "mlp", 2, "float32", "data", 16)
COST = CompiledCost(3e9, 2e9, 2**30, 1, 2**20, 1.5)
VERSIONS = {"jax": "1", "libtpu": "2"}


def row(step, **further):
    return Row(GROUP, step, dataclasses.replace(COST, **further))


def test_rows_come_back_from_their_file(tmp_path):
    rows = [row(BASELINE), row(SWITCH, flops=6.6e9)]
    write_rows(tmp_path / "tpu.json", VERSIONS, rows)
    assert read_rows(tmp_path / "tpu.json", VERSIONS) == rows
    assert read_rows(tmp_path / "none.json", VERSIONS) == []


def test_a_file_of_other_versions_is_refused(tmp_path):
    write_rows(tmp_path / "tpu.json", VERSIONS, [])
    with pytest.raises(ValueError, match="--output"):
        read_rows(tmp_path / "tpu.json", {**VERSIONS, "jax": "3"})


@pytest.mark.parametrize(("flops", "word"), [(6.6e9, "met"), (7e9, "not met")])
def test_the_verdict_is_against_the_floor(flops, word):
    assert verdict([row(BASELINE), row(SWITCH, flops=flops)]).endswith(f": {word})")
    assert verdict([row(BASELINE)]) is None


@pytest.mark.parametrize("wrong", [{"batch_per_chip": 0}, {"modalities": ()}, {"networks": ()}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_everything_is_every_combination():
    groups = list(Settings(everything=True, batch_per_chip=8).groups)
    assert len(set(groups)) == len(groups) == 4 * 2 * 3 * 2 * 2
    assert {group.batch_per_chip for group in groups} == {8}
    assert set(EVERYTHING.topologies) == {group.topology for group in groups}


@pytest.mark.skipif(not has_compiler(), reason="libtpu is not installed: pip install '.[tpu]'")
def test_a_topology_that_libtpu_does_not_know_is_refused(tmp_path):
    with pytest.raises(ValueError, match="topology"):
        main(Settings(topologies=("v5e:7x3",), output=tmp_path / "tpu.json"))


@pytest.mark.skipif(not has_compiler(), reason="libtpu is not installed: pip install '.[tpu]'")
def test_an_exact_step_is_at_the_floor(tmp_path, capsys, monkeypatch):
    path = tmp_path / "tpu.json"
    settings = Settings(networks=("mlp",), batch_per_chip=64, output=path)
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        main(settings)
    cost = {each.step: each.cost for each in rows_of(json.loads(path.read_text()))}
    assert tuple(cost) == STEPS
    late = cost[BASELINE]
    assert late.collectives <= 2
    assert 1.9 < cost["SAM"].flops / late.flops < 2.1
    assert cost["MASAM, dense"].flops > cost[SWITCH].flops
    assert cost["MASAM, host"].flops < 1.02 * cost[SWITCH].flops
    assert cost["MASAM every 5, between"].flops < 1.15 * late.flops
    assert cost["loop, late fusion"].flops < 1.15 * late.flops
    assert cost["loop, MASAM"].flops < 1.1 * cost[SWITCH].flops
    # Clean gradients twice, for γ, and one encoder's again; late fusion's are its 1.
    assert cost[SWITCH].collective_bytes < 2.5 * late.collective_bytes + 128
    assert all(each.peak_bytes > 0 and each.bytes_accessed > 0 for each in cost.values())
    assert "compiled, not run" in " ".join(capsys.readouterr().out.split())
    # What is in the file is not compiled again.
    monkeypatch.setattr(benchmark_tpu, "compiled_cost", None)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        main(settings)
    assert ": met)" in capsys.readouterr().out
