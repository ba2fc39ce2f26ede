"""``--engine`` as it is written."""

import pytest

from masam_jax.cli.commands import Tune
from masam_jax.config.engine import LocalEngine, RayEngine, parse_engine


@pytest.mark.parametrize(
    "spec, engine",
    [
        ("local", LocalEngine()),
        ("ray", RayEngine(workers=None, cpus=1, gpus=None)),
        ("ray:workers=4,cpus=2,gpus=0", RayEngine(workers=4, cpus=2, gpus=0)),
    ],
)
def test_engines(spec, engine):
    assert parse_engine(spec) == engine
    assert Tune(engine=spec).engine == spec


@pytest.mark.parametrize(
    "spec, words",
    [
        ("rai", r"unknown engine 'rai'; did you mean 'ray'\? \(known: local, ray\)"),
        ("local:workers=2", "engine 'local:workers=2'"),
        ("ray:worker=2", "engine 'ray:worker=2'.*workers"),
        ("ray:workers=two", "engine 'ray:workers=two'.*workers"),
        ("ray:workers=0", "workers=0 is out of range: expected an integer >= 1"),
        ("ray:cpus=0", "cpus=0 is out of range"),
        ("ray:gpus=-1", "gpus=-1 is out of range"),
    ],
)
def test_mistakes(spec, words):
    with pytest.raises(ValueError, match=words):
        parse_engine(spec)
    with pytest.raises(ValueError, match=words):
        Tune(engine=spec)
