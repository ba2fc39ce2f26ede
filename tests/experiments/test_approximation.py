"""ρ of each approximation by itself, its table, and the command."""

import numpy as np
import pytest

from experiments.approximation import Trained, choose, main, patterns, table

EXACT = "masam:rho=3"


def test_each_method_takes_its_own_best_radius():
    exact, lazy = patterns([5], "lazy")
    of_features = patterns([5], "lazy", features=True)[2:]
    assert of_features[0] == f"{exact},alignment=features"
    assert patterns([], "lazy", part=8) == [exact, f"{exact},alignment_part=8"]
    found = {
        "masam:rho=3": Trained([0.9, 0.7], None, None),
        "masam:rho=12": Trained([0.8, 0.9], None, None),
        "masam:rho=3,perturb_every=5,reuse=lazy": Trained([0.8, 0.8], None, None),
        "masam:rho=12,perturb_every=5,reuse=lazy": Trained([0.99, None], None, None),
    }
    assert choose(found, exact, [3, 12]) == "masam:rho=12"
    assert choose(found, lazy, [3, 12]) == "masam:rho=3,perturb_every=5,reuse=lazy"


@pytest.mark.parametrize("gap, equal", [(0.0, True), (0.02, False)])
def test_equal_within_half_a_point_has_a_small_p(gap, equal):
    draws = np.random.default_rng(0).normal(0.9, 0.01, (2, 32))
    noise = np.random.default_rng(1).normal(0, 0.001, 32)
    found = {
        "late_fusion": Trained(list(draws[0]), 10.0, 4.0),
        EXACT: Trained(list(draws[1]), 25.0, 2.0),
        "lazy": Trained(list(draws[1] - gap + noise), 13.0, 3.2),
    }
    late, exact, lazy = [row.split(" | ") for row in table(found, EXACT).splitlines()[2:]]
    assert late[-2:] == ["1.00", "1.00 |"]
    assert exact[-2:] == ["2.50", "2.00 |"]
    assert exact[2:4] == ["", ""]
    assert lazy[-2:] == ["1.30", "1.25 |"]
    assert float(lazy[2]) == pytest.approx(-100 * gap, abs=0.1)
    assert (not lazy[3].startswith(("1.", "0.9"))) is equal


def test_the_command_prints_both_tables(capsys):
    data = ("--dataset", "synthetic:case=competition")
    main([*data, "--quick", "--every", "2", "--part", "2", "--rho", "1"])
    out = capsys.readouterr().out
    assert "validation, masam:rho=1,perturb_every=2,reuse=lazy:" in out
    assert "| `masam:rho=1,perturb_every=2,reuse=lazy` |" in out
    assert "| `masam:rho=1,alignment_part=2` |" in out
