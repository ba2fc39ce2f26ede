"""Training steps for devices that need not be there: of the transformation, and of the loop."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import optax
from jax.sharding import NamedSharding, PartitionSpec

from masam_jax import LateFusion, masam, multimodal_value_and_grad, refresh_cycle, sam
from masam_jax.core.partition import path_name
from masam_jax.methods import parse_method
from masam_jax.training.problem import Problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state
from masam_jax.training.task import Task

BASELINE = "late fusion"
SWITCH = "MASAM, switch"
EVERY = 5
"""Steps from one perturbed gradient to the next of the approximate MASAM."""

STEPS = (
    BASELINE,
    "SAM",
    SWITCH,
    "MASAM, dense",
    "MASAM, host",
    f"MASAM every {EVERY}, between",
    "loop, late fusion",
    "loop, MASAM",
)

Lower = Callable[[], jax.stages.Lowered]


def lowered_steps(problem: Problem) -> Mapping[str, Lower]:
    """A function for each of `STEPS`; calling it traces the step.

    Late fusion is one ``jax.value_and_grad`` of the total loss. All are followed by AdamW and
    donate parameters and state. "MASAM, host" is the step once Python has chosen the encoder: the
    clean pass and its branch in one program, of which the training loop makes two. "MASAM every 5,
    between" is the step that re-uses the correction. "Loop" is what ``masam train`` runs on these
    devices, with its gathering of samples and its metrics.

    Args:
      problem: of one seed.
    """
    network = problem.network("concat")
    core = _Core(problem, network.late_fusion())
    both = multimodal_value_and_grad(core.late_fusion)
    # In low precision the default pays for a second pullback, read or not.
    one = multimodal_value_and_grad(core.late_fusion, unimodal_gradients="difference")

    def total(params: Any, *batch: Any) -> jax.Array:
        fusion, unimodal = core.late_fusion(params, *batch)
        return fusion + sum(unimodal.values())

    def plain(params: Any, *batch: Any) -> tuple[Any, Any, dict[str, Any]]:
        return *jax.value_and_grad(total)(params, *batch), {}

    def masam_by(dispatch: Literal["switch", "dense", "auto"], **static: Any) -> Lower:
        tx = masam(network.labels, dispatch=dispatch)
        return lambda: core.lower(both, tx, **static)

    def between() -> jax.stages.Lowered:
        tx = masam(network.labels, perturb_every=EVERY)
        return core.lower(one, tx, refresh=refresh_cycle(EVERY)[1])

    each = (
        lambda: core.lower(plain, optax.identity()),
        lambda: core.lower(one, sam(rho=0.05)),
        masam_by("switch"),
        masam_by("dense"),
        masam_by("auto", dominant=0),
        between,
        lambda: _loop_step(problem, "late_fusion"),
        lambda: _loop_step(problem, "masam"),
    )
    return dict(zip(STEPS, each, strict=True))


def parameter_bytes(problem: Problem) -> int:
    """The size of the whole gradient in float32."""
    return sum(leaf.size * 4 for leaf in jax.tree.leaves(_parameters(problem)))


def _loop_step(problem: Problem, method: str) -> jax.stages.Lowered:
    task = Task(problem, parse_method(method))
    return SeedStep(task).lower(abstract_state(task), task.batches.at(0))


def _parameters(problem: Problem) -> Any:
    network = problem.network("concat")
    return jax.eval_shape(network.init, jax.random.key(0))


@dataclasses.dataclass(frozen=True)
class _Core:
    """Steps of the transformation alone."""

    problem: Problem
    late_fusion: LateFusion

    def lower(self, value_and_grad: Any, tx: Any, **static: Any) -> jax.stages.Lowered:
        chain = optax.chain(tx, optax.adamw(1e-4))

        def step(params: Any, opt_state: Any, *batch: Any) -> tuple[Any, Any, Any]:
            losses, grads, signals = value_and_grad(params, *batch)
            updates, opt_state = chain.update(grads, opt_state, params, **signals, **static)
            return optax.apply_updates(params, updates), opt_state, losses

        shapes = _parameters(self.problem)
        params, opt_state = map(self._placed, (shapes, jax.eval_shape(chain.init, shapes)))
        kept = jax.tree.map(lambda leaf: leaf.sharding, (params, opt_state))
        jitted = jax.jit(step, donate_argnums=(0, 1), out_shardings=(*kept, None))
        return jitted.lower(params, opt_state, *self._batch())

    def _placed(self, tree: Any) -> Any:
        """Parameters, or what is laid out like them."""
        placement = self.problem.placement

        def placed(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
            axes: tuple[str | None, ...] = ()
            for rule in placement.rules:
                axes = rule.split(path_name(path), leaf.shape, placement.mesh.shape)
            sharding = NamedSharding(placement.mesh, PartitionSpec(*axes))
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

        return jax.tree_util.tree_map_with_path(placed, tree)

    def _batch(self) -> Any:
        """``(inputs, classes)``, as the loop gives them to its network."""
        size = self.problem.experiment.optimization.batch_size
        sharding = NamedSharding(self.problem.placement.mesh, PartitionSpec("data"))

        def samples(leaf: Any) -> jax.ShapeDtypeStruct:
            dtype = bool if leaf.dtype == bool else "float32"
            return jax.ShapeDtypeStruct((size, *leaf.shape), dtype, sharding=sharding)

        specs = self.problem.data.modality_specs
        inputs = {m: jax.tree.map(samples, spec.template) for m, spec in specs.items()}
        return inputs, jax.ShapeDtypeStruct((size,), "int32", sharding=sharding)
