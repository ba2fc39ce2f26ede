"""The package under jax's own switches, each as a user sets it: in the environment."""

import subprocess
import sys

import jax
import pytest

from tests.methods.small_runs import run, small_problem
from tests.quick_compilation import child_environment

# Half a minute without programs that are kept, as leak checking does: only what differs runs.
SWITCHES = {
    "JAX_NUMPY_RANK_PROMOTION=raise JAX_DEBUG_NANS=1": ("readme", "pictures"),
    "JAX_TRANSFER_GUARD=disallow": (),
    "JAX_ENABLE_X64=1 JAX_DEFAULT_PRNG_IMPL=rbg": ("readme", "pictures"),
    "JAX_CHECK_TRACER_LEAKS=1": ("readme", "comparison"),
    "JAX_DEBUG_KEY_REUSE=1": (),
    "JAX_NUMPY_DTYPE_PROMOTION=strict": ("pictures",),  # optax's own AdamW is not strict
    "JAX_DISABLE_JIT=1": ("readme",),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_session_runs_clean(switch, tmp_path):
    values = dict(each.split("=") for each in switch.split())
    words = [sys.executable, "-m", "tests.switched_session", str(tmp_path), *SWITCHES[switch]]
    done = subprocess.run(
        words, env=child_environment(**values), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_may_be_stepped_through_without_jit(tmp_path):
    with jax.disable_jit():
        result = run(small_problem(1, steps=1), "masam", tmp_path / "run")
    assert result["steps"] == 1
