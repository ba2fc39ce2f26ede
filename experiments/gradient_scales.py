"""What is left of a method's change of the gradient when the optimizer has divided by its scale.

    python -m experiments.gradient_scales

Every method trains on mfeat, in the demo's setting, once with AdamW and once with SGD and momentum.
Beside its own updates, a second optimizer of the same kind sees the gradients that the method was
given, along the same trajectory. Of each encoder (for MLA, of the shared head's kernel) and step
the table has

- the gradient's factor, ``‖g after the method‖ / ‖g before‖``, as the typical one: the exponential
  of the mean absolute logarithm, 1 where nothing changes and 2 where it is halved or doubled;
- the update's factor, likewise of the updates of the two optimizers;
- what comes through, the slope of the update's logarithm over the gradient's: 100 % where an update
  changes as its gradient does, 0 where the optimizer takes the scale away. An update's factor can
  be large without that: Adam's averages keep factors of earlier steps;
- the cosine of the two updates, which is 1 where a method changes nothing but the scale.

Means over the steps, encoders and seeds. By default over the first 100 steps: after them the demo's
networks have learnt their 100 samples by heart, and their gradients are nothing.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.observed_training import make_problem, make_task, train
from masam_jax.config import OptimizationConfig
from masam_jax.core.numerics import total
from masam_jax.methods.mla import HEAD
from masam_jax.training.optimizer import make_optimizer

OPTIMIZERS = {
    "AdamW": OptimizationConfig(),
    "SGD": OptimizationConfig(optimizer="sgd"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What is measured.

    Attributes:
      title: in the table.
      spec: the method that trains.
      factor: of the gradient of the first encoder, in the place of what the method does; None for
        the method itself.
    """

    title: str
    spec: str
    factor: float | None = None


ROWS = (
    Row("a quarter of one encoder's gradient", "fusion_only", 0.25),
    Row("OGM, α = .3", "ogm_ge:noise=false"),
    Row("OGM, α = .8", "ogm_ge:alpha=0.8,noise=false"),
    Row("OGM-GE, α = .3", "ogm_ge"),
    Row("AGM", "agm"),
    Row("MLA, the head", "mla"),
    Row("MMPareto, γ = 1.5", "mmpareto"),
    Row("MMPareto, γ = 3", "mmpareto:gamma=3"),
)


class Sums(NamedTuple):
    """What is added up over steps and groups of parameters: scalars.

    Attributes:
      counted: steps and groups with a gradient.
      gradient: absolute logarithms of the gradient's factors.
      update: of the updates'.
      squares: squares of the former, signed.
      products: products of both, signed.
      cosine: of the updates.
    """

    counted: jax.Array
    gradient: jax.Array
    update: jax.Array
    squares: jax.Array
    products: jax.Array
    cosine: jax.Array


class ComparedState(NamedTuple):
    """States of the method, its optimizer, the other optimizer; and the sums."""

    method: Any
    optimizer: Any
    plain: Any
    sums: Sums


Groups = Callable[[Any, str | None], list[list[jax.Array]]]


def compared(
    method: optax.GradientTransformationExtraArgs,
    optimizer: optax.GradientTransformationExtraArgs,
    groups: Groups,
) -> optax.GradientTransformationExtraArgs:
    """The method and its optimizer, beside an optimizer that sees the gradients before the method.

    Args:
      method: changes the gradients.
      optimizer: makes updates of them.
      groups: ``(tree like the parameters, phase) -> leaves of each group`` that is measured.
    """

    def init_fn(params: Any) -> ComparedState:
        zero = jnp.zeros((), jnp.float32)
        plain, own = (optimizer.init(params) for _ in range(2))
        return ComparedState(method.init(params), own, plain, Sums(*[zero] * 6))

    def update_fn(
        grads: Any, state: ComparedState, params: Any = None, **signals: Any
    ) -> tuple[Any, ComparedState]:
        phase = signals.get("phase")
        turn = {} if phase is None else {"phase": phase}
        changed, method_state = method.update(grads, state.method, params, **signals)
        updates, own = optimizer.update(changed, state.optimizer, params, **turn)
        others, plain = optimizer.update(grads, state.plain, params, **turn)
        sums = state.sums
        trees = (grads, changed, others, updates)
        for parts in zip(*(groups(tree, phase) for tree in trees), strict=True):
            before, after, other, update = map(_norm, parts)
            counts = (before > 0) & (after > 0) & (other > 0) & (update > 0)
            dot = total([jnp.vdot(a, b) for a, b in zip(*parts[2:], strict=True)], jnp.float32)
            gradient, changed_by = jnp.log(after / before), jnp.log(update / other)
            terms = (
                jnp.ones((), jnp.float32),
                jnp.abs(gradient),
                jnp.abs(changed_by),
                gradient**2,
                gradient * changed_by,
                dot / (other * update),
            )
            new = (old + jnp.where(counts, term, 0) for old, term in zip(sums, terms, strict=True))
            sums = Sums(*new)
        return updates, ComparedState(method_state, own, plain, sums)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _norm(leaves: list[jax.Array]) -> jax.Array:
    return jnp.sqrt(total([jnp.sum(jnp.square(leaf)) for leaf in leaves], jnp.float32))


def measure(row: Row, optimization: OptimizationConfig, seeds: int, dataset: str) -> Sums:
    """The sums of a run, NumPy numbers over all its seeds.

    Args:
      row: what is measured.
      optimization: the optimizer, and the length of the run.
      seeds: how many.
      dataset: which data.
    """
    problem = make_problem(optimization, seeds, dataset)
    modalities = problem.modalities

    def of_encoders(tree: Any, phase: str | None) -> list[list[jax.Array]]:
        del phase
        return [jax.tree.leaves(tree["encoders"][m]) for m in modalities]

    def of_first(tree: Any, phase: str | None) -> list[list[jax.Array]]:
        return of_encoders(tree, phase)[:1]

    def of_head(tree: Any, phase: str | None) -> list[list[jax.Array]]:
        del phase
        for key in HEAD.split("/"):
            tree = tree[key]
        return [[tree]]

    def transformation(method: Any, labels: Any) -> Any:
        by_modality = row.spec.startswith("mla")
        optimizer = optax.with_extra_args_support(
            make_optimizer(
                optimization, labels, modalities, optimization.steps, by_modality=by_modality
            )
        )
        if row.factor is None:
            return compared(method, optimizer, of_head if by_modality else of_encoders)
        scales = {m: optax.identity() for m in (*modalities, "other")}
        scales[modalities[0]] = optax.scale(row.factor)
        scaled = optax.with_extra_args_support(optax.partition(scales, labels))
        return compared(scaled, optimizer, of_first)

    task = make_task(problem, row.spec, transformation)
    for _, state in train(task):
        last = state
    return Sums(*(np.sum(jax.device_get(each)) for each in last.opt_state.sums))


def table(found: dict[str, dict[str, Sums]]) -> str:
    """Of `measure`, by row and optimizer, as Markdown."""
    lines = [
        "| method | optimizer | gradient × or ÷ | update × or ÷ | comes through | cosine |",
        "|---|---|---|---|---|---|",
    ]
    for title, by_optimizer in found.items():
        for name, sums in by_optimizer.items():
            gradient, update = (np.exp(each / sums.counted) for each in sums[1:3])
            through = f"{sums.products / sums.squares:.0%}" if sums.squares > 0 else "—"
            cosine = sums.cosine / sums.counted
            lines.append(
                f"| {title} | {name} | {gradient:.2f} | {update:.2f} | {through} | {cosine:.2f} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every row under both optimizers, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--dataset", default="mfeat")
    parser.add_argument("--rows", nargs="+", choices=[row.spec for row in ROWS])
    asked = parser.parse_args(arguments)
    found: dict[str, dict[str, Sums]] = {}
    for row in ROWS:
        if asked.rows is None or row.spec in asked.rows:
            found[row.title] = {
                name: measure(
                    row, dataclasses.replace(config, steps=asked.steps), asked.seeds, asked.dataset
                )
                for name, config in OPTIMIZERS.items()
            }
            print(f"{row.title}: measured", flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
