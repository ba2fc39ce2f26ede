"""The trace of the Hessian, of every encoder and of the whole."""

from collections.abc import Iterable
from typing import Any, Literal

import chex
import jax
import optax

from masam_jax.core.partition import Labels
from masam_jax.core.random_keys import typed_key
from masam_jax.core.specs import check_choice, check_number, check_sizes
from masam_jax.geometry.derivatives import LossFn
from masam_jax.geometry.estimate import Estimate
from masam_jax.geometry.hutchinson import hutchinson, with_sum
from masam_jax.geometry.mean_loss import MeanLoss
from masam_jax.geometry.parts import parts_of
from masam_jax.geometry.xtrace import xtrace


def hessian_trace(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    key: chex.PRNGKey,
    relative_error: float = 0.05,
    method: Literal["hutchinson", "xtrace"] = "hutchinson",
    max_samples: int = 1000,
    at_once: int = 4,
) -> dict[str, Estimate]:
    r"""Estimates $\operatorname{tr} \nabla^2_{\theta_m} L$ of every encoder, and of the whole.

    Each part's vectors are zero elsewhere: $v^\top H v = v_m^\top H_{mm} v_m$, in which the blocks
    $H_{mm'}$ between parts, whose trace is nothing, have no share. A vector over all parameters
    would serve every part at once, at about the cost of one vector for each part where encoders
    are separate, and bring their variance, $2 \sum_{m'} \|H_{mm'}\|_F^2$ each. The trace of the
    whole is the sum of the parts', whose errors are independent.

    The loss must be deterministic. With dropout, evaluate without it or with fixed keys; with batch
    normalisation, use the running statistics: those of the batch would make the loss of a sample
    depend on the others, and its Hessian on the batch's size.

    Args:
      loss_fn: ``(params, batch) -> scalar``. The same function object compiles once, also over
        several calls.
      params: the parameters, any pytree. Leaves of fewer than 32 bits are taken as float32.
      batches: an iterable of pytrees, read anew for every ``at_once`` vectors: a list, or an
        object that reads from disk. The loss is the mean over them, each weighing alike. Their
        arrays may be sharded over devices.
      labels: whose parameter is whose, as ``masam`` takes it; None for the whole alone.
      key: PRNG key.
      relative_error: the standard error over the trace at which to stop, of every part and of the
        whole.
      method: "hutchinson", means over random signs, with error ~ 1/√samples; or "xtrace", whose
        error falls faster where a few eigenvalues dominate, but which keeps four vectors for each
        sample and takes two products for it.
      max_samples: at most so many vectors of a part. The error that was asked for may then not be
        reached, which `Estimate.reached` tells. Where as many unit vectors as there are parameters
        cost no more, they are taken instead, and the trace is exact.
      at_once: how many vectors "hutchinson" keeps in memory; each batch is read once for them.

    Returns:
      ``{"all": …, modality: …}``, and ``"other"`` for the leaves of no modality where there are
      any. A sample of "hutchinson" is the second derivative along a random vector, over all
      batches, which takes forward mode alone; one of "xtrace" two Hessian-vector products.

    Raises:
      TypeError: the loss is no real scalar.
      ValueError: there is no batch or the batches can be read only once, labels do not fit, an
        argument is out of range, or the loss or its Hessian is not finite.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from masam_jax.geometry import hessian_trace
      >>> def loss_fn(params, x):
      ...     return jnp.mean(x) * jnp.sum(params["audio"] ** 2) + 5.0 * params["video"] ** 2
      >>> params = {"audio": jnp.ones(3), "video": jnp.ones(())}
      >>> batches = [jnp.ones(4), 3 * jnp.ones(4)]
      >>> labels = {"audio": "audio", "video": "video"}
      >>> found = hessian_trace(loss_fn, params, batches, labels=labels, key=jax.random.key(0))
      >>> {name: (estimate.mean, estimate.standard_error) for name, estimate in found.items()}
      {'all': (22.0, 0.0), 'audio': (12.0, 0.0), 'video': (10.0, 0.0)}

    References:
      Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.
      Epperly, Tropp and Webber, XTrace, SIAM J. Matrix Anal. Appl. 2024.
      https://arxiv.org/abs/2301.07825
    """
    check_choice("method", method, ("hutchinson", "xtrace"))
    check_number("relative_error", relative_error, "(0, inf)")
    check_number("max_samples", max_samples, "[2, inf)", whole=True)
    check_sizes(at_once=at_once)
    key = typed_key(key)
    mean_loss = MeanLoss(loss_fn, params, batches)
    parts = parts_of(labels, mean_loss.params)
    if method == "xtrace":
        estimates = {
            name: xtrace(
                mean_loss,
                positions,
                jax.random.fold_in(key, number),
                relative_error=relative_error,
                max_samples=max_samples,
            )
            for number, (name, positions) in enumerate(parts.items())
        }
    else:
        estimates = hutchinson(
            mean_loss,
            parts,
            key,
            relative_error=relative_error,
            max_samples=max_samples,
            at_once=at_once,
        )
    return with_sum(estimates, mean_loss, relative_error)
