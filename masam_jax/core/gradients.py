"""Losses, the gradient of their weighted sum, and the signals that balancing methods read."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.collectives import average, vary
from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.late_fusion_passes import LateFusionPasses
from masam_jax.core.losses import (
    NO_WEIGHTS,
    Losses,
    SampleWeights,
    Weights,
    check_weights,
    common_weight,
    weights_by_modality,
)
from masam_jax.core.microbatches import first_part, mean_over_microbatches, split_microbatches
from masam_jax.core.numerics import is_narrow, is_traced
from masam_jax.core.partition import check_differentiable
from masam_jax.core.passes import Gradients, Passes, Pullback, Weighing
from masam_jax.core.plain_passes import PlainPasses
from masam_jax.core.pullbacks import scaled_difference
from masam_jax.core.reused_keys import clone_keys
from masam_jax.core.signals import FusionGradient, TotalGradient
from masam_jax.core.specs import check_choice, check_sizes

ValueAndGrad = Callable[..., tuple[Losses, Any, dict[str, Any]]]


def multimodal_value_and_grad(
    loss_fn: Callable[..., Any] | LateFusion,
    *,
    loss_weights: Weights = None,
    has_aux: bool = False,
    axis_name: Any = None,
    microbatches: int = 1,
    shared_parameters: bool = False,
    unimodal_gradients: Literal["auto", "direct", "difference"] = "auto",
    alignment_part: int | Callable[[Any], Any] = 1,
) -> ValueAndGrad:
    r"""The counterpart of ``jax.value_and_grad`` for multimodal losses.

    $$
    L_{total} = L_{fuse} + \sum_m \lambda_m L_m
    $$

    From one forward pass the gradients of $L_{total}$ and $L_{fuse}$ are pulled back;
    that of $\sum_m L_m$ is their difference over $\lambda$, so that MASAM pays for two
    pullbacks and, under ``jit``, a method that reads no signal for one.

    Args:
      loss_fn: ``loss_fn(params, *args) -> (fusion_loss, {modality: unimodal_loss})``, and ``aux``
        third with ``has_aux``; or a `LateFusion`, whose second pass is cheap. A loss is a scalar,
        or a `WeightedMean`, whose parts weigh by their samples.
      loss_weights: the weights λ of the unimodal losses in the total: one number, or one for each
        modality. A weight may be an array (a schedule's value). All are 1 when None.
      has_aux: whether ``loss_fn`` returns ``aux`` too.
      axis_name: the axis, or axes, of ``pmap`` or ``shard_map`` over which losses and gradients
        are averaged, before anything is decided from them. Not needed under ``jit``. Devices count
        alike, except in a `WeightedMean`.
      microbatches: into how many parts k the leading axis of every array in ``args`` is split, one
        after the other: part i holds the samples i, i + k, i + 2 k, …, so that of a batch sharded
        over devices each keeps its own. Losses and gradients are the means over the parts, at the
        clean and at the perturbed point (``optax.MultiSteps`` would keep only the last perturbed
        gradient); parts count alike, except in a `WeightedMean`. ``aux`` has a leading axis of k.
      shared_parameters: pull back every unimodal loss by itself, which true per-modality gradients
        need when modalities share labelled parameters; M + 1 pullbacks instead of two. They come
        as the further signal ``per_modality_grads``, ``{modality: gradient}``.
      unimodal_gradients: "difference" as described above; "direct" pulls $\sum_m L_m$ back
        and adds, which spares MASAM the rounding of the difference and costs a method that reads
        no signal a second pullback. In float32 the difference
        leaves γ with an error of about 1e-7 ‖∇L_fuse‖ / (λ ‖∇L_m‖). "auto" is "direct" where
        parameters, features or losses have fewer than 32 bits, or a weight is below 0.01, and
        "difference" elsewhere.
      alignment_part: k > 1 has MASAM take γ, the alignment, from one sample in k: the first of the
        k parts that ``microbatches=k`` makes, or what a function makes of the tuple ``args``, such
        as a shorter batch and the same key. It needs a `LateFusion`, whose encoders run once more
        on these samples, with statistics and dropout masks of their own, and are pulled back
        twice. Fusion gradients of all samples are then needed of the perturbed encoder alone.

    Returns:
      A function ``(params, *args) -> (losses, grads, signals)``. ``losses`` is a `Losses`,
      ``grads`` the gradient of the total loss, and ``signals`` a dict for ``**signals`` of every
      method's ``update``: ``fusion_grads``, ``unimodal_grads`` (of $\sum_m L_m$, unweighted),
      ``total_grads`` (``grads``, which a chain may have changed before a method sees them),
      ``unimodal_losses``, ``fusion_grad_fn(params, modality)`` and ``total_grad_fn(params)``, the
      last two on the same batch; of a `LateFusion` also ``feature_products``, from which
      ``masam(alignment="features")`` has γ. All of it is a pytree and may leave a ``jit``. There,
      and where ``update`` compiles the second pass of a step that is not traced, numbers among
      ``args`` are arrays, and booleans, strings and functions static.

    Raises:
      ValueError: an argument is out of range, the weights name other modalities than the losses,
        a batch does not split evenly, or a parameter has no gradient.
      TypeError: ``loss_fn`` returns something else than it should.

    Examples:
      >>> import jax.numpy as jnp
      >>> def loss_fn(params, x):
      ...     return jnp.sum((params["a"] * x) ** 2), {"a": jnp.sum(params["a"] ** 2)}
      >>> losses, grads, signals = multimodal_value_and_grad(loss_fn)({"a": 2.0}, jnp.ones(3))
      >>> float(losses.total), float(grads["a"]), float(signals["unimodal_grads"]["a"])
      (16.0, 16.0, 4.0)
    """
    if not callable(loss_fn):
        raise ValueError(f"loss_fn must be a function or a LateFusion, got {loss_fn!r}")
    check_sizes(microbatches=microbatches)
    check_choice("unimodal_gradients", unimodal_gradients, ("auto", "direct", "difference"))
    take_part = _taker(alignment_part)
    part_passes: LateFusionPasses | None = None
    loss_weights = check_weights(loss_weights)
    passes: Passes
    if isinstance(loss_fn, LateFusion):
        if shared_parameters:
            raise ValueError(
                "shared_parameters=True needs a plain loss_fn, got a LateFusion: it reuses the"
                " features of the encoders that are not perturbed"
            )
        passes = LateFusionPasses(loss_fn, has_aux, unimodal_gradients)
        part_passes = LateFusionPasses(loss_fn, has_aux, "direct")
    else:
        if take_part is not None:
            raise ValueError(
                "alignment_part needs a LateFusion, got a plain loss_fn: it would save nothing"
            )
        passes = PlainPasses(loss_fn, has_aux, unimodal_gradients, shared_parameters)

    def value_and_grad(params: optax.Params, *args: Any) -> tuple[Losses, Any, dict[str, Any]]:
        check_differentiable(params)
        local_params = vary(params, axis_name)
        parts = args if microbatches == 1 else split_microbatches(args, microbatches)
        samples = _mean_weights(passes, local_params, parts, microbatches, axis_name)
        weighing = Weighing(loss_weights, samples)
        pullbacks: list[Pullback | None] = []

        def clean(part: Any) -> tuple[Any, Any]:
            losses, gradients, features, pull = passes.clean(local_params, part, weighing)
            pullbacks.append(pull)
            if take_part is not None and part_passes is not None:
                some = take_part(clone_keys(part))
                of_part = part_passes.clean(local_params, some, Weighing(None))[1]
                both = {"fusion_grads": of_part.fusion, "unimodal_grads": of_part.unimodal}
                gradients = gradients._replace(of_part=both)
            return (losses._replace(aux=None), gradients), (losses.aux, features)

        if microbatches == 1:
            averaged, (aux, features) = clean(parts)
        else:
            averaged, (aux, features) = mean_over_microbatches(
                clean, parts, microbatches, axis_name
            )
        weight = common_weight(weights_by_modality(loss_weights, averaged[0].unimodal))
        losses, gradients = _average(averaged[0], averaged[1], weight, axis_name)
        unimodal_grads = gradients.unimodal
        if unimodal_grads is None and weight is not None:
            unimodal_grads = scaled_difference(gradients.total, gradients.fusion, weight)
        operands = (passes, axis_name, microbatches, weighing, args, features)
        # Untraced, its residuals would stay in memory, and nothing be saved.
        pull = pullbacks[0] if microbatches == 1 and is_traced(local_params) else None
        signals = {
            "fusion_grads": gradients.fusion,
            "unimodal_grads": unimodal_grads,
            "total_grads": gradients.total,
            "unimodal_losses": losses.unimodal,
            "fusion_grad_fn": FusionGradient(*operands, clean_pullback=pull),
            "total_grad_fn": TotalGradient(*operands),
        }
        if gradients.features is not None:
            signals["feature_products"] = gradients.features
        if gradients.of_part is not None:
            signals["alignment_grads"] = gradients.of_part
        if gradients.per_modality is not None:
            signals["per_modality_grads"] = gradients.per_modality
        return losses._replace(aux=aux), gradients.total, signals

    return value_and_grad


def _taker(alignment_part: Any) -> Callable[[Any], Any] | None:
    """From a batch to the samples of which γ is taken; None for all."""
    if callable(alignment_part):
        return alignment_part
    check_sizes(alignment_part=alignment_part)
    if alignment_part == 1:
        return None
    return lambda args: first_part(split_microbatches(args, alignment_part))


def _average(
    losses: Losses, gradients: Gradients, weight: float | None, axis_name: Any
) -> tuple[Losses, Gradients]:
    """Means over the devices, of two of three gradients: a weighted sum is one of the others."""
    if axis_name is None or gradients.unimodal is None or weight is None:
        return average((losses, gradients), axis_name)
    # Not of narrow leaves, whose sum has been rounded.
    narrow = jax.tree.map(lambda g: g if is_narrow(g.dtype) else None, gradients.fusion)
    losses, means, narrow = average((losses, gradients._replace(fusion=()), narrow), axis_name)

    def fusion(total: jax.Array, unimodal: jax.Array, own: jax.Array | None) -> jax.Array:
        return total - jnp.asarray(weight, total.dtype) * unimodal if own is None else own

    fused = jax.tree.map(fusion, means.total, means.unimodal, narrow)
    return losses, means._replace(fusion=fused)


def _mean_weights(
    passes: Passes, params: optax.Params, parts: Any, count: int, axis_name: Any
) -> SampleWeights:
    """The mean over parts and devices of the weights that the losses carry, if any does."""
    if count == 1 and axis_name is None:
        return NO_WEIGHTS
    # The clean pass uses the keys, and users of scalar losses pay for no further pass.
    parts = clone_keys(parts)

    def of_one_part(tree: optax.Params) -> SampleWeights:
        return passes.sample_weights(tree, parts if count == 1 else first_part(parts))

    if not jax.tree.leaves(jax.eval_shape(of_one_part, params)):
        return NO_WEIGHTS
    if count == 1:
        weights = of_one_part(params)
    else:
        weights, _ = mean_over_microbatches(
            lambda part: (passes.sample_weights(params, part), ()), parts, count, axis_name
        )
    return average(vary(weights, axis_name), axis_name)
