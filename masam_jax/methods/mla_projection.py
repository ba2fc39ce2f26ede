"""MLA's projection away from features seen before, kept as a matrix root so that it stays one."""

import jax
import jax.numpy as jnp

# Reduced-precision products (TF32, bfloat16 passes) would blur what was projected away.
_PRECISION = jax.lax.Precision.HIGHEST


def absorb(root: jax.Array, feature: jax.Array, damping: jax.Array) -> jax.Array:
    r"""One step of recursive least squares: directions of ``feature`` shrink in P.

    $$
    k = P r, \qquad P \leftarrow P - \frac{k k^\top}{a + r^\top k}, \qquad P = S S^\top
    $$

    S is updated in the place of P (Potter's form): after thousands of steps the plain update
    rounds P to negative eigenvalues, which then grow without bound.

    Args:
      root: S ``[H, H]``; the identity at first.
      feature: r ``[H]``; a zero vector changes nothing.
      damping: a > 0, a scalar.

    References:
      Bierman, Factorization Methods for Discrete Sequential Estimation, 1977, chapter II
      (Potter, 1963).
    """
    along = jnp.dot(root.T, feature, precision=_PRECISION)
    gain = 1 / (damping + jnp.sum(along * along))
    share = gain / (1 + jnp.sqrt(damping * gain))
    k = jnp.dot(root, along, precision=_PRECISION)
    return root - share * jnp.outer(k, along)


def project(root: jax.Array, gradient: jax.Array) -> jax.Array:
    """``P g`` over the first axis of a gradient ``[H, ...]``, in the gradient's dtype."""
    wide = gradient.astype(root.dtype)
    inner = jnp.tensordot(root, wide, axes=(0, 0), precision=_PRECISION)
    projected = jnp.tensordot(root, inner, axes=(1, 0), precision=_PRECISION)
    return projected.astype(gradient.dtype)
