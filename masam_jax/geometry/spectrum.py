"""Eigenvalues of the Hessian: the largest ones, and how all of them are distributed."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.extras import needs
from masam_jax.core.partition import Labels
from masam_jax.core.random_keys import typed_key
from masam_jax.core.specs import check_number, check_sizes
from masam_jax.geometry.derivatives import LossFn, Positions
from masam_jax.geometry.mean_loss import MeanLoss
from masam_jax.geometry.opaque import opaque, run_by_python
from masam_jax.geometry.parts import parts_and_whole
from masam_jax.geometry.signs import random_signs

with needs("masam_jax.geometry", "geometry"):
    from matfree import decomp


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """What Lanczos iterations know of a Hessian's eigenvalues.

    Attributes:
      eigenvalues: the largest ones, in descending order, approached from below. One that occurs
        several times is there once.
      errors: of each, within what distance of it an eigenvalue is certain to lie.
      smallest: the smallest one, approached from above.
      nodes: where the distribution of all eigenvalues has its mass, and
      weights: how much, adding up to 1: the stochastic Lanczos quadrature.
      size: the number of eigenvalues, which is that of parameters.
      loss: the loss at the parameters.
      norm: ``‖θ‖₂`` of the parameters that the Hessian is by.
    """

    eigenvalues: np.ndarray
    errors: np.ndarray
    smallest: float
    nodes: np.ndarray
    weights: np.ndarray
    size: int
    loss: float
    norm: float

    def density(self, points: Any, width: float) -> np.ndarray:
        """The share of eigenvalues per unit, smoothed by a Gaussian; it integrates to 1.

        Args:
          points: where, an array.
          width: the Gaussian's standard deviation, in units of the eigenvalues.
        """
        check_number("width", width, "(0, inf)")
        distances = (np.asarray(points, float)[..., None] - self.nodes) / width
        kernels = np.exp(-(distances**2) / 2) / (width * np.sqrt(2 * np.pi))
        return kernels @ self.weights


def hessian_spectrum(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    key: chex.PRNGKey,
    steps: int = 30,
    vectors: int = 4,
    top: int = 5,
) -> dict[str, Spectrum]:
    """Largest eigenvalues and spectral density of the Hessian by every encoder, and by everything.

    From each of several random vectors v a Lanczos iteration with full orthogonalisation makes a
    small tridiagonal matrix. Its eigenvalues approach the Hessian's outermost ones, and the mean
    over v of their weights in v is the distribution of all of them. The whole's eigenvalues are not
    those of its parts: those never exceed its largest.

    Args:
      loss_fn: as for `hessian_trace`, deterministic.
      params: the parameters.
      batches: an iterable of pytrees, read anew for every product.
      labels: whose parameter is whose; None for the whole alone.
      key: PRNG key.
      steps: Hessian-vector products for each vector; more of them resolve more eigenvalues. About
        three times as many vectors are in memory.
      vectors: how many v; the density's error falls with their root.
      top: how many of the largest eigenvalues.

    Returns:
      ``{"all": …, modality: …}``, and ``"other"`` for the leaves of no modality where there are
      any.

    Raises:
      TypeError: the loss is no real scalar.
      ValueError: as for `hessian_trace`, or ``top`` is more than ``steps``.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from masam_jax.geometry import hessian_spectrum
      >>> curvatures = jnp.asarray([1.0, 4.0, 9.0])
      >>> def loss_fn(params, batch):
      ...     return 0.5 * jnp.sum(curvatures * params**2)
      >>> found = hessian_spectrum(loss_fn, jnp.ones(3), [None], key=jax.random.key(0), top=2)
      >>> found["all"].eigenvalues.round(3).tolist(), round(found["all"].smallest, 3)
      ([9.0, 4.0], 1.0)

    References:
      Lin, Saad and Yang, Approximating spectral densities of large matrices, SIAM Review 2016.
      Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via Hessian
      eigenvalue density, ICML 2019. https://arxiv.org/abs/1901.10159
    """
    check_sizes(steps=steps, vectors=vectors, top=top)
    if top > steps:
        raise ValueError(f"top={top} eigenvalues need as many steps, got steps={steps}")
    key = typed_key(key)
    mean_loss = MeanLoss(loss_fn, params, batches)
    found = {}
    for number, (name, positions) in enumerate(parts_and_whole(labels, mean_loss.params).items()):
        own = jax.random.split(jax.random.fold_in(key, number), vectors)
        iterations = [_lanczos(mean_loss, positions, each, steps) for each in own]
        found[name] = _spectrum(mean_loss, positions, iterations, top)
    return found


@dataclasses.dataclass(frozen=True)
class _Lanczos:
    """Eigenvalues of one tridiagonal matrix, ascending: bounds on their errors, weights in v."""

    values: np.ndarray
    errors: np.ndarray
    weights: np.ndarray


def _lanczos(mean_loss: MeanLoss, positions: Positions, key: jax.Array, steps: int) -> _Lanczos:
    size = mean_loss.size(positions)
    steps = min(steps, size)

    def multiply(vector: jax.Array) -> jax.Array:
        if not jnp.isfinite(vector).all():  # Of length 0: there was no further direction.
            return vector
        return mean_loss.product(vector, positions)

    start = random_signs(key, size, mean_loss.dtype)
    # Of matfree's Lanczos iterations the one whose matrix shows where it found no further vector.
    iterate = decomp.hessenberg(steps, reortho="full", custom_vjp=False)
    with run_by_python():
        _, hessenberg, residual, _ = iterate(opaque(multiply), start)
        last = jnp.linalg.norm(residual)
    matrix = np.asarray(hessenberg, np.float64)
    lengths = np.append(np.diag(matrix, -1), float(last))
    steps = _steps_taken(matrix, lengths, np.finfo(mean_loss.dtype).eps)
    matrix = matrix[:steps, :steps]
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return _Lanczos(values, lengths[steps - 1] * np.abs(vectors[-1]), vectors[0] ** 2)


def _steps_taken(matrix: np.ndarray, lengths: np.ndarray, eps: float) -> int:
    """Up to where new directions came; behind, there is rounding, or nothing at all."""
    for step, length in enumerate(lengths, start=1):
        if not length > 100 * eps * np.abs(matrix[:step, :step]).max():
            return step
    return len(lengths)


def _spectrum(
    mean_loss: MeanLoss, positions: Positions, iterations: list[_Lanczos], top: int
) -> Spectrum:
    # The i-th largest of each iteration is at most the Hessian's: the largest of these is nearest.
    longest = max(len(each.values) for each in iterations)
    ranked = [
        max((each.values[-rank], each.errors[-rank]) for each in iterations if _has(each, rank))
        for rank in range(1, min(top, longest) + 1)
    ]
    values, errors = zip(*ranked, strict=True)
    return Spectrum(
        eigenvalues=np.array(values),
        errors=np.array(errors),
        smallest=float(min(each.values[0] for each in iterations)),
        nodes=np.concatenate([each.values for each in iterations]),
        weights=np.concatenate([each.weights for each in iterations]) / len(iterations),
        size=mean_loss.size(positions),
        loss=mean_loss.loss,
        norm=mean_loss.norm(positions),
    )


def _has(iteration: _Lanczos, rank: int) -> bool:
    return rank <= len(iteration.values)
