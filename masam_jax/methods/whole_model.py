"""Looking ahead with all parameters at once: what `sam` and `asam` share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import (
    accumulation_dtype,
    add_difference,
    all_finite,
    inverse_norm,
    is_narrow,
)
from masam_jax.core.point_dtype import PointDtype, widens
from masam_jax.core.signal_checks import require_callable, require_signals, require_structure

Operator = Callable[[jax.Array], jax.Array]


def add_correction(
    name: str,
    updates: optax.Updates,
    params: optax.Params,
    signals: dict[str, Any],
    *,
    radius: Any,
    point_dtype: PointDtype,
    normalization: Operator = jnp.ones_like,
) -> Any:
    r"""``updates`` plus the change of the total gradient on the way to the perturbed point.

    With the total gradient g of all parameters as one vector, and a diagonal operator T,

    $$
    u + \nabla L_{total}(\theta + \epsilon) - g, \quad
    \epsilon = \rho \, T^2 g / \|T g\|_2
    $$

    A zero or non-finite norm, or corrected updates that are not finite, gives ``updates``, bit for
    bit.

    Args:
      name: the method's name, for errors.
      updates: the incoming updates.
      params: the parameters θ.
      signals: those of `multimodal_value_and_grad`; ``total_grad_fn`` is needed, and ``updates``
        stands in for ``total_grads``.
      radius: ρ ≥ 0, a scalar.
      point_dtype: the dtype of perturbed parameters of fewer than 32 bits, see `widens`.
      normalization: the diagonal of T for one parameter leaf, of its shape and dtype.

    Raises:
      ValueError: ``params`` or the signal is missing, or a tree has another structure than
        ``params``.
    """
    if params is None:
        raise ValueError(f"{name} needs params: tx.update(grads, opt_state, params, **signals)")
    require_signals(name, signals, ("total_grad_fn",))
    require_callable("total_grad_fn", signals["total_grad_fn"])
    clean = signals.get("total_grads")
    clean = updates if clean is None else clean
    require_structure({"updates": updates, "total_grads": clean}, params)
    dtype = accumulation_dtype(clean)
    widened = jax.tree.map(lambda param: jnp.asarray(param).astype(dtype), params)
    operator = jax.tree.map(normalization, widened)
    normalized = jax.tree.map(lambda t, g: t * g.astype(dtype), operator, clean)
    scale = jnp.asarray(radius, dtype) * inverse_norm(jax.tree.leaves(normalized), dtype)

    def move(param: jax.Array, t: jax.Array, step: jax.Array, gradient: jax.Array) -> jax.Array:
        # 0 * inf: nothing moves where the gradient is not finite.
        step = jnp.where(scale == 0, 0, scale * t * step)
        return (param + step).astype(gradient.dtype)

    moved = (widened, operator, normalized)

    def at(dtypes: Any) -> Any:
        return signals["total_grad_fn"](jax.tree.map(move, *moved, dtypes))

    wide = jax.tree.map(lambda g: g.astype(jnp.float32) if is_narrow(g.dtype) else g, clean)
    is_any_narrow = any(is_narrow(leaf.dtype) for leaf in jax.tree.leaves(clean))
    is_wide = is_any_narrow and widens(point_dtype, lambda: at(wide))
    perturbed = jax.tree.map(lambda p, g: p.astype(g.dtype), at(wide if is_wide else clean), clean)
    corrected = jax.tree.map(add_difference, updates, perturbed, clean)
    keep = (scale != 0) & all_finite(jax.tree.leaves(corrected))
    return jax.tree.map(lambda new, old: jnp.where(keep, new, old), corrected, updates)
