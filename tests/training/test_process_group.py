"""What the processes of a run were told alike; texts in memory stand for JAX's service."""

import pytest

from masam_jax.config import DistributionConfig
from masam_jax.config.errors import RunError
from masam_jax.training import process_group
from masam_jax.training.process_group import ProcessGroup
from tests.training.shared_values import SharedValues


@pytest.fixture
def make_group(monkeypatch):
    values = SharedValues()
    monkeypatch.setattr(process_group, "ServiceKeyValues", lambda: values)

    def make(process, processes):
        config = DistributionConfig(
            coordinator_address="localhost:1",
            num_processes=processes,
            process_id=process,
            connect_timeout=1,
        )
        return ProcessGroup(config, farewell=str)

    return make


def test_processes_that_were_told_other_numbers(make_group):
    groups = make_group(0, 2), make_group(1, 3)
    groups[0].check_same("--num-processes", groups[0].processes)
    with pytest.raises(RunError) as error:
        groups[1].check_same("--num-processes", groups[1].processes)
    assert str(error.value) == (
        "process 1 was started with --num-processes 3, process 0 with 2; start all with the same,"
        " or, where they are runs of their own, with --cluster none"
    )
    assert groups[1].is_broken
    assert not groups[0].is_broken


def test_processes_that_were_told_the_same(make_group):
    for group in (make_group(0, 2), make_group(1, 2)):
        group.check_same("--num-processes", group.processes)
        assert not group.is_broken
