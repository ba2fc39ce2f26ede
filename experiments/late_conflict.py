"""Where MMPareto falls late in training on mfeat, and what does it.

    python -m experiments.late_conflict

MMPareto trains on the six views of mfeat, in the demo's setting, as it is and without its factor
``‖f + u‖ / ‖h‖``; late fusion trains beside it. At the end of every window of steps the table has,
over encoders, steps and seeds of the window,

- ``‖f‖ / ‖u‖``, the fusion gradient's length by the unimodal one's, geometric mean;
- conflict, the share with f · u <= 0, where the weights are those of the shortest combination;
- w_f, the weight of the fusion gradient there, mean;
- amplified, ``‖f + u‖ / ‖h‖`` there, geometric mean: how many times longer the joined gradient is
  made;
- the test accuracy of all three.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.observed_training import accuracy_on_test, make_problem, make_task, train
from masam_jax.config import OptimizationConfig
from masam_jax.core.numerics import total
from masam_jax.training.optimizer import make_optimizer
from masam_jax.training.predictions import Predictors

OPTIMIZERS = {
    "adamw": OptimizationConfig(),
    "sgd": OptimizationConfig(optimizer="sgd"),
}


class Geometry(NamedTuple):
    """Of the two gradients of each encoder at a step, arrays ``[M]``.

    Attributes:
      ratio: ``log(‖f‖ / ‖u‖)``.
      conflicts: bool, whether f · u <= 0.
      weight: w_f.
      amplified: ``log(‖f + u‖ / ‖h‖)``.
    """

    ratio: jax.Array
    conflicts: jax.Array
    weight: jax.Array
    amplified: jax.Array


class ObservedState(NamedTuple):
    """The method's state, its optimizer's, and the last step's geometry."""

    method: Any
    optimizer: Any
    geometry: Geometry


def geometry_of(fusion: list[jax.Array], unimodal: list[jax.Array]) -> Geometry:
    """Of one encoder's two gradients, scalars.

    Args:
      fusion: f, its leaves.
      unimodal: u.
    """
    ff, uu, fu = (
        _dot(*pair) for pair in ((fusion, fusion), (unimodal, unimodal), (fusion, unimodal))
    )
    conflicts = fu <= 0
    apart = ff + uu - 2 * fu
    weight = jnp.where(conflicts, (uu - fu) / jnp.where(apart > 0, apart, 1), 0.5)
    # ‖w f + (1 - w) u‖ = ‖h‖ / 2; where the two conflict, by the shortest combination's formula,
    # which does not subtract what is nearly equal.
    shortest = jnp.sqrt(jnp.maximum(ff * uu - fu**2, 0) / jnp.where(apart > 0, apart, 1))
    joined = jnp.where(conflicts, 2 * shortest, jnp.sqrt(ff + uu + 2 * fu))
    ratio = (_log(ff) - _log(uu)) / 2
    amplified = _log(ff + uu + 2 * fu) / 2 - _log(joined)
    return Geometry(ratio, conflicts, weight, amplified)


def _log(value: jax.Array) -> jax.Array:
    """Finite at zero."""
    return jnp.log(jnp.maximum(value, jnp.finfo(value.dtype).tiny))


def _dot(left: list[jax.Array], right: list[jax.Array]) -> jax.Array:
    return total([jnp.vdot(a, b) for a, b in zip(left, right, strict=True)], jnp.float32)


def observed(method: Any, optimizer: Any, modalities: Sequence[str], amplify: bool) -> Any:
    """A method and its optimizer, which keep what the gradients looked like.

    Args:
      method: MMPareto.
      optimizer: what comes after it.
      modalities: whose encoders.
      amplify: whether the factor ``‖f + u‖ / ‖h‖`` stays; False divides by it.
    """

    def init_fn(params: Any) -> ObservedState:
        zeros = jnp.zeros(len(modalities), jnp.float32)
        empty = Geometry(zeros, zeros > 0, zeros, zeros)
        return ObservedState(method.init(params), optimizer.init(params), empty)

    def update_fn(grads: Any, state: ObservedState, params: Any = None, **signals: Any) -> Any:
        trees = (signals["fusion_grads"]["encoders"], signals["unimodal_grads"]["encoders"])
        each = {m: geometry_of(*(jax.tree.leaves(tree[m]) for tree in trees)) for m in modalities}
        changed, kept = method.update(grads, state.method, params, **signals)
        if not amplify:
            factors = {m: jnp.exp(-found.amplified) for m, found in each.items()}
            encoders = {
                m: jax.tree.map(lambda g, k=factors[m]: k * g, changed["encoders"][m])
                for m in modalities
            }
            changed = changed | {"encoders": encoders}
        updates, moved = optimizer.update(changed, state.optimizer, params)
        geometry = jax.tree.map(lambda *parts: jnp.stack(parts), *each.values())
        return updates, ObservedState(kept, moved, geometry)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


VARIANTS = {"late fusion": None, "MMPareto": True, "without the factor": False}
"""Method in the table -> whether the factor stays; None for late fusion."""


def run(
    optimization: OptimizationConfig, seeds: int, window: int, dataset: str
) -> dict[str, list[tuple[np.ndarray, Geometry | None]]]:
    """Of each variant, by window: test accuracies ``[S]``, and the geometry, arrays ``[T, S, M]``.

    Args:
      optimization: the optimizer and the number of steps.
      seeds: how many.
      window: the steps between two rows of the table.
      dataset: which data.
    """
    problem = make_problem(optimization, seeds, dataset)
    predictors, found = Predictors(problem), {}
    for name, amplify in VARIANTS.items():

        def transformation(method: Any, labels: Any, amplify: bool | None = amplify) -> Any:
            optimizer = make_optimizer(optimization, labels, problem.modalities, optimization.steps)
            if amplify is None:
                return optimizer
            return observed(method, optimizer, problem.modalities, amplify)

        task = make_task(problem, "late_fusion" if amplify is None else "mmpareto", transformation)
        rows: list[tuple[np.ndarray, Geometry | None]] = []
        steps: list[Geometry] = []
        for step, state in train(task):
            if amplify is not None:
                steps.append(jax.device_get(state.opt_state.geometry))
            if step % window == 0:
                joined = jax.tree.map(lambda *each: np.stack(each), *steps) if steps else None
                rows.append((accuracy_on_test(task, predictors, state), joined))
                steps = []
        found[name] = rows
        print(f"{name}: trained", flush=True)
    return found


def table(found: dict[str, list[tuple[np.ndarray, Geometry | None]]], window: int) -> str:
    """Of `run`, as Markdown."""
    names = list(found)
    lines = [
        "| steps | ‖f‖ / ‖u‖ | conflict | w_f | amplified × | "
        + " | ".join(f"{name}, %" for name in names)
        + " |",
        "|---" * (5 + len(names)) + "|",
    ]
    for place, (_, geometry) in enumerate(found["MMPareto"]):
        assert geometry is not None
        where = np.asarray(geometry.conflicts)
        weight, amplified = "—", "—"
        if where.any():
            weight = f"{np.mean(geometry.weight[where]):.3f}"
            amplified = f"{np.exp(np.mean(geometry.amplified[where])):.3g}"
        accuracies = (100 * found[name][place][0] for name in names)
        cells = [f"{each.mean():.2f} ± {each.std(ddof=1):.2f}" for each in accuracies]
        ratio = f"{np.exp(np.mean(geometry.ratio)):.2g}"
        first = [f"{place * window + 1}–{(place + 1) * window}", ratio, f"{np.mean(where):.0%}"]
        lines.append(f"| {' | '.join([*first, weight, amplified, *cells])} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the three, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--dataset", default="mfeat")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw")
    asked = parser.parse_args(arguments)
    config = dataclasses.replace(OPTIMIZERS[asked.optimizer], steps=asked.steps)
    print(table(run(config, asked.seeds, asked.window, asked.dataset), asked.window))


if __name__ == "__main__":
    main()
