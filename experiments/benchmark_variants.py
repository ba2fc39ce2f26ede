"""The training steps that are compared: one for each method and each way to run it."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal
from unittest import mock

import jax
import jax.numpy as jnp
import optax

from experiments.benchmark_models import Problem
from masam_jax import masam, multimodal_value_and_grad, refresh_cycle, sam
from masam_jax.training.train_step import make_train_step

BASELINE = "late fusion"
SAM = "SAM"
LOOP_DEFAULT = "MASAM, training loop"
JITTED_DEFAULT = "MASAM, one jitted step"
# Steps from one perturbed gradient to the next of the approximate MASAM.
EVERY = 5

TrainStep = Callable[..., tuple[Any, Any, Any]]

_jit = jax.jit


@dataclasses.dataclass(frozen=True)
class Variant:
    """A step that is ready to run, with the programs that XLA made of it.

    Attributes:
      step: ``step(params, opt_state) -> (params, opt_state)``; donates both.
      params: parameters of its own.
      opt_state: the optimizer's state.
      programs: the compiled programs of one step, in order.
      compile_seconds: what tracing and compiling took, where it was measured, else 0.
    """

    step: Callable[[Any, Any], tuple[Any, Any]]
    params: Any
    opt_state: Any
    programs: tuple[jax.stages.Compiled, ...]
    compile_seconds: float = 0.0


def make_variants(problem: Problem) -> dict[str, Callable[[], Variant]]:
    """A function for each variant, by name; calling it compiles the variant."""

    def masam_with(dispatch: Literal["auto", "switch", "dense"]) -> Any:
        return masam(problem.labels, rho=0.3, alpha=0.8, beta=0.91, dispatch=dispatch)

    def between() -> Variant:
        value_and_grad = multimodal_value_and_grad(late_fusion)
        tx = masam(problem.labels, perturb_every=EVERY, reuse="lazy")
        return _jitted(problem, value_and_grad, tx, refresh=refresh_cycle(EVERY)[1])

    of_features = masam(problem.labels, alignment="features", dispatch="switch")
    late_fusion, plain = problem.late_fusion, problem.late_fusion.__call__

    def jitted(loss: Any, tx: Any) -> Callable[[], Variant]:
        return lambda: _jitted(problem, multimodal_value_and_grad(loss), tx)

    return {
        BASELINE: lambda: _jitted(problem, _total_value_and_grad(problem), optax.identity()),
        "late fusion, this API": jitted(late_fusion, optax.identity()),
        SAM: jitted(plain, sam(rho=0.05)),
        "MASAM, plain loss_fn": jitted(plain, masam_with("auto")),
        "MASAM, switch": jitted(late_fusion, masam_with("switch")),
        "MASAM, dense": jitted(late_fusion, masam_with("dense")),
        JITTED_DEFAULT: jitted(late_fusion, masam_with("auto")),
        f"MASAM every {EVERY}, a step between": between,
        "MASAM, γ of features, switch": jitted(late_fusion, of_features),
        "MASAM, host": lambda: from_loop(problem, masam_with("auto"), "host"),
        LOOP_DEFAULT: lambda: from_loop(problem, masam_with("auto"), "auto"),
    }


def _total_value_and_grad(problem: Problem) -> Callable[..., tuple[Any, Any, dict[str, Any]]]:
    """Late fusion as one writes it without this library: the total loss and its gradient."""

    def total(params: Any, *batch: Any) -> jax.Array:
        fusion, unimodal = problem.late_fusion(params, *batch)
        return fusion + sum(unimodal.values())

    def value_and_grad(params: Any, *batch: Any) -> tuple[Any, Any, dict[str, Any]]:
        return *jax.value_and_grad(total)(params, *batch), {}

    return value_and_grad


def _chain(tx: Any) -> optax.GradientTransformationExtraArgs:
    return optax.chain(tx, optax.adamw(1e-4))


def _own_copy(params: Any) -> Any:
    return jax.tree.map(jnp.copy, params)


def _jitted(problem: Problem, value_and_grad: Any, tx: Any, **static: Any) -> Variant:
    chain = _chain(tx)

    def step(params: Any, opt_state: Any, *batch: Any) -> tuple[Any, Any, Any]:
        losses, grads, signals = value_and_grad(params, *batch)
        updates, opt_state = chain.update(grads, opt_state, params, **signals, **static)
        return optax.apply_updates(params, updates), opt_state, losses

    params = _own_copy(problem.params)
    opt_state = jax.jit(chain.init)(params)
    program = (
        jax.jit(step, donate_argnums=(0, 1)).lower(params, opt_state, *problem.batch).compile()
    )
    return Variant(_on_batch(program, problem), params, opt_state, (program,))


def from_loop(problem: Problem, tx: Any, dispatch: Literal["auto", "jit", "host"]) -> Variant:
    """The training loop's step, its optimizer ``tx`` before AdamW; compiles it and takes one."""
    chain = _chain(tx)
    params = _own_copy(problem.params)
    opt_state = jax.jit(chain.init)(params)
    recorded: list[_Recorded] = []

    def recording_jit(function: Any, **options: Any) -> _Recorded:
        recorded.append(_Recorded(function, **options))
        return recorded[-1]

    # The loop's step is a Python function over several programs; these are counted as they are,
    # not as this file might rebuild them.
    with mock.patch.object(jax, "jit", recording_jit):
        train_step = make_train_step(
            multimodal_value_and_grad(problem.late_fusion), chain, dispatch=dispatch
        )
    step = _on_batch(train_step, problem)
    params, opt_state = step(params, opt_state)
    programs = tuple(next(iter(r.programs.values())) for r in recorded if r.programs)
    return Variant(step, params, opt_state, programs, sum(r.seconds for r in recorded))


class _Recorded:
    """A jitted function that keeps its programs, one for each choice of the static arguments."""

    def __init__(self, function: Any, *, static_argnames: Any = (), **options: Any) -> None:
        names = (static_argnames,) if isinstance(static_argnames, str) else static_argnames
        self._static_names = frozenset(names)
        self._jitted = _jit(function, static_argnames=static_argnames, **options)
        self.programs: dict[Any, jax.stages.Compiled] = {}
        self.seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        static = tuple(kwargs[name] for name in sorted(self._static_names))
        if static not in self.programs:
            start = time.perf_counter()
            self.programs[static] = self._jitted.lower(*args, **kwargs).compile()
            self.seconds += time.perf_counter() - start
        # JAX compiles no second time for what it has lowered before.
        return self._jitted(*args, **kwargs)


def _on_batch(step: TrainStep, problem: Problem) -> Callable[[Any, Any], tuple[Any, Any]]:
    return lambda params, opt_state: step(params, opt_state, *problem.batch)[:2]
