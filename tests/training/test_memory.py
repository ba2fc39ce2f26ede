"""A state that fits into no memory is refused, by what each device has to hold."""

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from masam_jax.training import memory
from masam_jax.training.distribution import make_placement


def _state(spec):
    """A gibibyte of float32 on eight devices."""
    sharding = NamedSharding(make_placement(8, 8).mesh, spec)
    return {"a": jax.ShapeDtypeStruct((8, 2**25), np.float32, sharding=sharding)}


SPLIT, WHOLE = PartitionSpec("seeds"), PartitionSpec()


@pytest.mark.parametrize("spec, device, machine", [(SPLIT, 2**27, 0), (WHOLE, 0, 2**33)])
def test_what_just_fits(monkeypatch, spec, device, machine):
    monkeypatch.setattr(memory, "_limit", lambda _: device)
    monkeypatch.setattr(memory, "_of_machine", lambda: machine)
    memory.check_memory(_state(spec))


@pytest.mark.parametrize(
    "spec, device, machine, words",
    [
        # All devices together would have enough.
        (WHOLE, 2**29, 0, "takes 1 GiB, and a device has 0:"),
        # Each of eight fake devices holds a copy in the machine's memory.
        (WHOLE, 0, 2**32, "takes 8 GiB, and there are 4:"),
    ],
)
def test_what_does_not(monkeypatch, spec, device, machine, words):
    monkeypatch.setattr(memory, "_limit", lambda _: device)
    monkeypatch.setattr(memory, "_of_machine", lambda: machine)
    with pytest.raises(ValueError, match=words):
        memory.check_memory(_state(spec))
