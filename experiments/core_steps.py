"""Steps of the transformation alone, over problems of shapes: late fusion, SAM, and MASAM."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import optax
from jax.sharding import NamedSharding, PartitionSpec

from masam_jax import masam, multimodal_value_and_grad, refresh_cycle, sam
from masam_jax.core.partition import path_name
from masam_jax.training.problem import Problem

BASELINE = "late fusion"
SWITCH = "MASAM, switch"
EVERY = 5
"""Steps from one perturbed gradient to the next of the approximate MASAM."""

CORE_STEPS = (
    BASELINE,
    "SAM",
    SWITCH,
    "MASAM, dense",
    "MASAM, host",
    f"MASAM every {EVERY}, between",
)


class CoreStep(NamedTuple):
    """One step, followed by AdamW; parameters and state are donated.

    Attributes:
      problem: shapes of parameters and batch, and where they are.
      value_and_grad: ``(params, *batch) -> (losses, grads, signals)``.
      tx: the optimizer.
      static: what ``update`` is told beside the signals.
    """

    problem: Problem
    value_and_grad: Any
    tx: optax.GradientTransformationExtraArgs
    static: dict[str, Any]

    def operands(self) -> tuple[Any, ...]:
        """Shapes of ``(params, opt_state, *batch)``, with their shardings."""
        params = parameter_shapes(self.problem)
        state = jax.eval_shape(self.tx.init, params)
        return *(_placed(self.problem, tree) for tree in (params, state)), *_batch(self.problem)

    def lower(self) -> jax.stages.Lowered:
        """The traced step."""

        def step(params: Any, opt_state: Any, *batch: Any) -> tuple[Any, Any, Any]:
            losses, grads, signals = self.value_and_grad(params, *batch)
            updates, opt_state = self.tx.update(grads, opt_state, params, **signals, **self.static)
            return optax.apply_updates(params, updates), opt_state, losses

        operands = self.operands()
        kept = jax.tree.map(lambda leaf: leaf.sharding, operands[:2])
        jitted = jax.jit(step, donate_argnums=(0, 1), out_shardings=(*kept, None))
        return jitted.lower(*operands)


def core_steps(problem: Problem) -> Mapping[str, CoreStep]:
    """`CORE_STEPS`, by name.

    Late fusion is one ``jax.value_and_grad`` of the total loss. "MASAM, host" is the step once
    Python has chosen the encoder: the clean pass and its branch in one program, of which the
    training loop makes two. "MASAM every 5, between" is the step that re-uses the correction.

    Args:
      problem: of one seed.
    """
    network = problem.network("concat")
    late_fusion = network.late_fusion()
    both = multimodal_value_and_grad(late_fusion)
    # In low precision the default pays for a second pullback, read or not.
    one = multimodal_value_and_grad(late_fusion, unimodal_gradients="difference")

    def total(params: Any, *batch: Any) -> jax.Array:
        fusion, unimodal = late_fusion(params, *batch)
        return fusion + sum(unimodal.values())

    def plain(params: Any, *batch: Any) -> tuple[Any, Any, dict[str, Any]]:
        return *jax.value_and_grad(total)(params, *batch), {}

    def step(value_and_grad: Any, tx: Any, **static: Any) -> CoreStep:
        return CoreStep(problem, value_and_grad, optax.chain(tx, optax.adamw(1e-4)), static)

    def masam_by(dispatch: Literal["switch", "dense", "auto"], **static: Any) -> CoreStep:
        return step(both, masam(network.labels, dispatch=dispatch), **static)

    between = masam(network.labels, perturb_every=EVERY, reuse="lazy")
    each = (
        step(plain, optax.identity()),
        step(one, sam(rho=0.05)),
        masam_by("switch"),
        masam_by("dense"),
        masam_by("auto", dominant=0),
        step(one, between, refresh=refresh_cycle(EVERY)[1]),
    )
    return dict(zip(CORE_STEPS, each, strict=True))


def parameter_shapes(problem: Problem) -> Any:
    """Of one seed's network, without shardings."""
    network = problem.network("concat")
    return jax.eval_shape(network.init, jax.random.key(0))


def _placed(problem: Problem, tree: Any) -> Any:
    """Parameters, or what is laid out like them."""
    placement = problem.placement

    def placed(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        axes: tuple[str | None, ...] = ()
        for rule in placement.rules:
            axes = rule.split(path_name(path), leaf.shape, placement.mesh.shape)
        sharding = NamedSharding(placement.mesh, PartitionSpec(*axes))
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(placed, tree)


def _batch(problem: Problem) -> Any:
    """``(inputs, classes)``, as the loop gives them to its network."""
    size = problem.experiment.optimization.batch_size
    sharding = NamedSharding(problem.placement.mesh, PartitionSpec("data"))

    def samples(leaf: Any) -> jax.ShapeDtypeStruct:
        dtype = bool if leaf.dtype == bool else "float32"
        return jax.ShapeDtypeStruct((size, *leaf.shape), dtype, sharding=sharding)

    specs = problem.data.modality_specs
    inputs = {m: jax.tree.map(samples, spec.template) for m, spec in specs.items()}
    return inputs, jax.ShapeDtypeStruct((size,), "int32", sharding=sharding)
