"""Random trees, dtypes, magnitudes and options: what must hold for any of them.

A tree, its dtypes and the options are drawn from one seed, and compiled once for each dispatch;
signals are drawn from another. The gradient at the perturbed point is made up as well, and so the
same for every dispatch. ``MASAM_FUZZ=200`` sets the number of trees, of 25 cases each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam, masam_metrics

TREES = int(os.environ.get("MASAM_FUZZ", "12"))
CASES = 25
NAMES = ("audio", "clean", "dense", "host", "noisy", "single", "video")
SHAPES = ((), (1,), (3,), (2, 2), (0, 3))
DTYPES = (jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64)
DISPATCHES = ("dense", "switch", "host")


@pytest.fixture(autouse=True, scope="module")
def _64_bits() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


class World:
    """A tree of parameters and the options of one transformation."""

    def __init__(self, seed: int) -> None:
        self._draw = draw = np.random.default_rng(seed)
        self.names = sorted(draw.choice(NAMES, draw.integers(1, 5), replace=False).tolist())
        dtypes = draw.choice(len(DTYPES), 4)
        if draw.random() < 0.7:  # most trees have one dtype
            dtypes[:] = dtypes[0]
        self.leaves: dict[str, list[tuple[Any, Any]]] = {
            group: [
                (SHAPES[draw.integers(len(SHAPES))], DTYPES[draw.choice(dtypes)])
                for _ in range(draw.integers(1, 4))
            ]
            for group in (*self.names, "other")
        }
        # Every tree has something to perturb.
        self.leaves[self.names[0]][0] = ((3,), DTYPES[dtypes[0]])
        self.options = {
            "select": draw.choice(
                ["dominant", "dominant", "random", "all", "weakest", self.names[0]]
            ).item(),
            "scale_by_alignment": bool(draw.random() < 0.7),
            "alignment": draw.choice(["partition", "per_tensor"]).item(),
            "clip_negative": bool(draw.random() < 0.3),
            "radius": draw.choice(["absolute", "relative", "filter"]).item(),
            "correct_other": bool(draw.random() < 0.5),
            "direction": draw.choice(["fusion", "total"]).item(),
            "perturbed_dtype": draw.choice(["auto", "float32", "parameters"]).item(),
        }

    def tree(self, wildness: float, kinds: Any) -> Any:
        """A tree like the parameters, whose leaves are of one of ``kinds`` at that rate."""

        def kind() -> str:
            is_wild = self._draw.random() < wildness
            return self._draw.choice(kinds).item() if is_wild else "plain"

        return {
            group: [self._array(shape, dtype, kind()) for shape, dtype in leaves]
            for group, leaves in self.leaves.items()
        }

    def _array(self, shape: Any, dtype: Any, kind: str) -> np.ndarray:
        draw, limits = self._draw, jnp.finfo(dtype)
        normal = draw.standard_normal(shape)
        if kind == "zero":
            values = np.copysign(0.0, normal)
        elif kind == "subnormal":
            values = normal * float(limits.smallest_subnormal) * 3
        elif kind == "largest":
            values = np.sign(normal) * float(limits.max)
        elif kind == "infinite":
            values = np.where(draw.random(shape) < 0.5, np.inf * np.sign(normal), np.nan)
        else:
            exponent = draw.uniform(-30, 30) if kind == "any" else draw.uniform(-2, 2)
            values = normal * 10**exponent
        if kind != "infinite":
            values = np.clip(values, float(limits.min), float(limits.max))
        return np.asarray(values, np.float64).astype(dtype)

    def case(self) -> dict[str, Any]:
        """Everything that one step is given."""
        finite = ["any", "zero", "subnormal", "largest"]
        wild = [*finite, "infinite"]
        wildness = self._draw.choice([0.0, 0.1, 0.5])
        losses = [*np.exp(self._draw.uniform(-100, 100, 4)), 1.0, 2.0, 3.0, 0.0, np.inf, np.nan]
        return {
            "params": self.tree(wildness, finite[:3]),
            "updates": self.tree(wildness, finite),
            "fusion_grads": self.tree(wildness, wild),
            "unimodal_grads": self.tree(wildness, wild),
            "total_grads": self.tree(wildness, wild),
            "perturbed": self.tree(wildness, wild),
            "unimodal_losses": {m: np.asarray(self._draw.choice(losses)) for m in self.names},
            "present": {m: np.asarray(self._draw.random() < 0.8) for m in self.names},
            "rho": np.asarray(
                self._draw.choice([0.0, 0.05, 12.0, 10 ** self._draw.uniform(-30, 30)])
            ),
        }


def step_of(world: World, dispatch: str) -> Any:
    """``(state, case) -> (updates, state)``, compiled but for the host's choice."""

    def step(state: Any, case: dict[str, Any]) -> Any:
        case = dict(case)
        labels = {group: group for group in case["params"]}
        tx = masam(labels, rho=case.pop("rho"), dispatch=dispatch, **world.options)
        params, updates, perturbed = (case.pop(n) for n in ("params", "updates", "perturbed"))
        state = tx.init(params) if state is None else state
        return tx.update(
            updates, state, params, fusion_grad_fn=lambda point, modality: perturbed, **case
        )

    return step if dispatch == "host" else jax.jit(step)


def bits(array: Any) -> np.ndarray:
    """The bits of an array, in which -0.0 is not 0.0."""
    array = np.asarray(array)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def is_finite(tree: Any) -> bool:
    return all(
        np.isfinite(np.asarray(leaf, np.float64)).all()
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    )


def wide(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.longdouble)


def assert_corrected(got: Any, case: dict[str, Any], group: str) -> bool:
    """The group has its updates bit for bit, or u + g(θ + ε) − g(θ); says whether the second."""
    fields = ("updates", "perturbed", "fusion_grads")
    rows = list(zip(got[group], *(case[field][group] for field in fields), strict=True))
    if all((bits(new) == bits(old)).all() for new, old, _, _ in rows):
        return False
    for new, old, there, here in rows:
        want = wide(old) + (wide(there) - wide(here))
        size = np.abs(wide(old)) + np.abs(wide(there)) + np.abs(wide(here))
        limits = jnp.finfo(new.dtype)
        error = 4 * float(limits.eps) * size + 4 * float(limits.smallest_normal)
        assert (np.abs(wide(new) - want) <= error).all(), f"{group}: {new} for {want}"
    return True


def check(world: World, seed: int, states: dict[str, Any], steps: dict[str, Any]) -> int:
    """One case under every dispatch; the number of groups that were corrected."""
    case = world.case()
    jaxed = jax.tree.map(jnp.asarray, case)
    results = {name: step(states[name], jaxed) for name, step in steps.items()}
    corrected = 0
    for name, (updates, state) in results.items():
        states[name] = state
        where = f"tree with {world.options} under {name}, case {seed}"
        assert is_finite(updates), f"{where}: {updates}"
        assert is_finite(state), f"{where}: {state}"
        dominant = masam_metrics(state)["dominant"]
        may_change = {dominant} if world.options["select"] != "all" else set(world.names)
        if world.options["correct_other"]:
            may_change.add("other")
        for group in case["params"]:
            changed = assert_corrected(updates, case, group)
            assert group in may_change or not changed, f"{where}: {group} is not perturbed"
            if changed and group != "other":
                assert case["present"][group], f"{where}: {group} is absent"
                assert case["rho"] > 0
            corrected += changed
    first, *others = results.values()
    for other in others:
        if int(first[1].dominant) != int(other[1].dominant):
            scores = [float(score) for score in jax.tree.leaves(first[1].scores.score)]
            best = sorted(scores)[-2:]
            np.testing.assert_allclose(best[0], best[1], rtol=1e-5)
            states.update(dict.fromkeys(states, first[1]))
            continue
        for left, right in zip(*(jax.tree.leaves(r[0]) for r in (first, other)), strict=True):
            np.testing.assert_array_equal(bits(left), bits(right))
    return corrected


@pytest.mark.parametrize("seed", range(TREES))
def test_any_tree(seed: int) -> None:
    world = World(seed)
    steps = {name: step_of(world, name) for name in DISPATCHES}
    states: dict[str, Any] = dict.fromkeys(DISPATCHES)
    corrected = sum(check(world, i, states, steps) for i in range(CASES))
    # A clipped γ may be 0 in every case.
    assert corrected or world.options["clip_negative"], f"nothing moved with {world.options}"
