"""One training step, compiled: in one piece, or in two around a choice made on the host."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from masam_jax.core.metrics import has_masam_metrics
from masam_jax.core.numerics import is_traced, platform_of
from masam_jax.core.refresh import Refresh
from masam_jax.training.dominance import dominant_index

StepDispatch = Literal["auto", "jit", "host"]
TrainStep = Callable[..., tuple[Any, Any, Any]]


def make_train_step(
    value_and_grad: Callable[..., tuple[Any, Any, dict[str, Any]]],
    tx: optax.GradientTransformationExtraArgs,
    dispatch: StepDispatch = "auto",
) -> TrainStep:
    """A compiled ``(params, opt_state, *batch, refresh=None) -> (params, opt_state, losses)``.

    ``"jit"`` compiles the whole step. ``"host"`` compiles it in two: the first part takes losses
    and gradients and asks the transformation which modality is dominant; that index, the only
    thing fetched, selects the second part, compiled for this modality alone, so that no branch is
    left in the program. It gives the same numbers, and is the fastest way for convolutions on CPU,
    whose backward pass is slow inside a branch. It needs a ``MasamState`` in the optimizer's state;
    without one the step is compiled whole. ``"auto"`` is ``"host"`` on CPU for a network that
    convolves, and ``"jit"`` elsewhere.

    ``refresh`` is handed to ``update``: with the entry ``t % len(cycle)`` of
    `masam_jax.refresh_cycle` at step t, a step that measures nothing anew has a program of its own,
    which costs what late fusion costs.

    Args:
      value_and_grad: what ``multimodal_value_and_grad`` returns, or any function with its result.
      tx: the optimizer, ``masam`` anywhere in a chain, or any other transformation.
      dispatch: see above.

    Returns:
      The step. It donates ``params`` and ``opt_state``: use what it returns, not what it was given.

    Raises:
      ValueError: ``dispatch`` is none of the three.
    """
    if dispatch not in ("auto", "jit", "host"):
        raise ValueError(f"dispatch is {dispatch!r}; 'auto', 'jit' and 'host' are accepted")
    tx = optax.with_extra_args_support(tx)

    def finish(
        params: Any, opt_state: Any, grads: Any, signals: Any, refresh: Refresh | None
    ) -> tuple[Any, Any]:
        static = {} if refresh is None else {"refresh": refresh}
        updates, opt_state = tx.update(grads, opt_state, params, **signals, **static)
        return optax.apply_updates(params, updates), opt_state

    def whole(
        params: Any, opt_state: Any, *batch: Any, refresh: Refresh | None
    ) -> tuple[Any, Any, Any]:
        losses, grads, signals = value_and_grad(params, *batch)
        return *finish(params, opt_state, grads, signals, refresh), losses

    def choose(
        params: Any, opt_state: Any, *batch: Any, refresh: Refresh | None
    ) -> tuple[jax.Array, Any, Any, Any]:
        losses, grads, signals = value_and_grad(params, *batch)

        # The choice depends on clean gradients alone: constants stand in for the second pass, and
        # XLA removes whatever does not reach the index.
        def fusion_grad_fn(point: Any, modality: str | None = None) -> Any:
            return signals["fusion_grads"]

        def total_grad_fn(point: Any) -> Any:
            return grads

        clean = signals | {"fusion_grad_fn": fusion_grad_fn, "total_grad_fn": total_grad_fn}
        _, moved = finish(params, opt_state, grads, clean, refresh)
        # The same tree as grads, which would be written to memory twice.
        rest = {name: value for name, value in signals.items() if value is not grads}
        return dominant_index(moved), losses, grads, rest

    def apply(
        params: Any,
        opt_state: Any,
        grads: Any,
        signals: Any,
        dominant: int,
        refresh: Refresh | None,
    ) -> tuple[Any, Any]:
        known = {"total_grads": grads, "dominant": dominant}
        return finish(params, opt_state, grads, known | signals, refresh)

    jitted_whole = jax.jit(whole, static_argnames="refresh", donate_argnums=(0, 1))
    jitted_choose = jax.jit(choose, static_argnames="refresh")
    jitted_apply = jax.jit(apply, static_argnames=("dominant", "refresh"), donate_argnums=(0, 1))

    on_host: dict[Any, bool] = {}

    def chooses_on_host(params: Any, opt_state: Any, *batch: Any) -> bool:
        if dispatch == "jit" or is_traced(opt_state):  # traced: no value to fetch
            return False
        kind = jax.tree.structure((params, opt_state)), platform_of(params)
        if kind not in on_host:
            on_host[kind] = has_masam_metrics(opt_state) and (
                dispatch == "host"
                or (kind[1] == "cpu" and convolves(value_and_grad, params, *batch))
            )
        return on_host[kind]

    def step(
        params: Any, opt_state: Any, *batch: Any, refresh: Refresh | None = None
    ) -> tuple[Any, Any, Any]:
        looks_ahead = refresh is None or refresh.perturbation
        if not looks_ahead or not chooses_on_host(params, opt_state, *batch):
            return jitted_whole(params, opt_state, *batch, refresh=refresh)
        index, losses, grads, signals = jitted_choose(params, opt_state, *batch, refresh=refresh)
        dominant = int(jax.device_get(index).reshape(()))
        updated = jitted_apply(
            params, opt_state, grads, signals, dominant=dominant, refresh=refresh
        )
        return *updated, losses

    return step


def convolves(function: Callable[..., Any], *operands: Any) -> bool:
    """Whether a function of these arrays, or of their shapes and dtypes, has a convolution."""
    return "conv_general_dilated" in str(jax.make_jaxpr(function)(*operands))
