"""The page of TPUs says what is in the file, and its projection is arithmetic."""

import dataclasses

import pytest

from experiments.compiled_cost import CompiledCost
from experiments.compiled_rows import Group, Row, read_file
from experiments.core_steps import BASELINE, SWITCH
from experiments.tpu_page import PAGE, filled
from experiments.tpu_topologies import CHIPS
from experiments.weak_scaling import project, projections

GROUP = Group("v5e:2x4", "resnet18", 2, "bfloat16", "data", 16)
V5E = CHIPS["v5e"]


def row(**further):
    cost = CompiledCost(0.0, 0.0, 1, 1, 0, 1.0)
    return Row(GROUP, BASELINE, dataclasses.replace(cost, **further))


def test_the_page_has_what_the_file_has():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, read_file(PAGE.with_name("tpu.json"))) == page


def test_a_page_without_a_block_is_refused():
    with pytest.raises(ValueError, match="0 blocks <!-- projected -->"):
        filled("<!-- compiled -->\n\n<!-- end -->", read_file(PAGE.with_name("tpu.json")))


def test_the_exact_step_on_the_page_is_at_the_floor():
    cost = {r.step: r.cost for r in read_file(PAGE.with_name("tpu.json")) if r.group == GROUP}
    assert cost[SWITCH].flops <= 1.05 * 13 / 6 * cost[BASELINE].flops


@pytest.mark.parametrize(
    ("further", "alone"),
    [({"flops": V5E.flops}, 1.0), ({"flops": V5E.flops, "bytes_accessed": 2 * V5E.hbm_rate}, 2.0)],
)
def test_a_chip_takes_the_longer_of_both(further, alone):
    assert project(row(**further), 8).alone == pytest.approx(alone)


def test_chips_send_their_gradients_around():
    found = project(row(flops=V5E.flops, collective_bytes=int(V5E.link_rate)), 4)
    assert found.talking == pytest.approx(1.5)
    assert found.efficiency == pytest.approx((1 / 2.5, 1 / 1.5))
    assert project(row(flops=V5E.flops, collective_bytes=8), 1).efficiency == (1.0, 1.0)


def test_rates_of_another_precision_are_not_published():
    other = dataclasses.replace(row(), group=GROUP._replace(precision="float32"))
    with pytest.raises(ValueError, match="bfloat16"):
        project(other, 8)
    assert projections([other]) == []
