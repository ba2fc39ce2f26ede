"""Exact Shapley values of the modalities, as a traceable sum over all subsets."""

import itertools
import math
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

Value = Callable[[frozenset[str]], jax.typing.ArrayLike]


def shapley_values(value: Value, modalities: Iterable[str]) -> dict[str, jax.Array]:
    r"""The Shapley value of each modality in a game: its marginal contribution, averaged.

    $$
    \varphi_m = \sum_{S \subseteq N \setminus \{m\}}
    \frac{|S|!\,(M - |S| - 1)!}{M!} \bigl(v(S \cup \{m\}) - v(S)\bigr)
    $$

    ``value`` is called once for each of the $2^M$ subsets, also under ``jit``, ``grad`` and
    ``vmap``. The φ add up to $v(N) - v(\emptyset)$. What modalities outside S are replaced
    by, and what the empty set is worth, is up to ``value``.

    Args:
      value: v(S) of a subset of the modalities, an array or a number, of one shape and dtype for
        all subsets. An array of several entries is as many games.
      modalities: names of the M ≥ 1 players.

    Returns:
      ``{m: φ_m}`` in sorted order, of the shape of ``value``'s results and, where those are
      floating, of their dtype.

    Raises:
      ValueError: no modality, or one named twice.

    References:
      Shapley, A value for n-person games, Contributions to the Theory of Games II, 1953.
    """
    names = tuple(modalities)
    players = tuple(sorted(set(names)))
    if not players or len(players) != len(names):
        raise ValueError(f"modalities={names!r}: expected at least one name, each of them once")
    worth = {
        frozenset(subset): _floating(value(frozenset(subset)))
        for size in range(len(players) + 1)
        for subset in itertools.combinations(players, size)
    }
    return {player: _average_contribution(player, players, worth) for player in players}


def _floating(worth: jax.typing.ArrayLike) -> jax.Array:
    array = jnp.asarray(worth)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(float)


def _average_contribution(
    player: str, players: tuple[str, ...], worth: dict[frozenset[str], jax.Array]
) -> jax.Array:
    total = jnp.zeros_like(worth[frozenset()])
    for subset, without in worth.items():
        if player not in subset:
            # |S|! (M - |S| - 1)! / M! without factorials larger than a float holds.
            weight = 1.0 / (len(players) * math.comb(len(players) - 1, len(subset)))
            total = total + weight * (worth[subset | {player}] - without)
    return total
