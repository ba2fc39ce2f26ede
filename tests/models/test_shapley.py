"""Shapley values: the axioms that define them, and the mean over all orders of arrival."""

from __future__ import annotations

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.models.shapley import shapley_values

NAMES = ("audio", "depth", "imu", "text", "video")
few = hypothesis.settings(max_examples=20)
games = st.tuples(st.integers(1, 5), st.integers(0, 2**32 - 1))

Game = dict[frozenset[str], float]


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


def draw_game(count: int, seed: int) -> Game:
    """A number for every subset, the empty one's not zero."""
    generator = np.random.default_rng(seed)
    return {
        frozenset(subset): float(generator.normal())
        for size in range(count + 1)
        for subset in itertools.combinations(NAMES[:count], size)
    }


def mean_over_arrivals(game: Game, count: int) -> dict[str, float]:
    """What each player adds on arrival, averaged over the M! orders: the definition in words."""
    totals = dict.fromkeys(NAMES[:count], 0.0)
    orders = list(itertools.permutations(NAMES[:count]))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            totals[player] += game[before | {player}] - game[before]
    return {player: total / len(orders) for player, total in totals.items()}


def assert_values(got: dict[str, jax.Array], want: dict[str, float]) -> None:
    assert list(got) == sorted(want)
    for player, value in want.items():
        np.testing.assert_allclose(got[player], value, rtol=1e-12, atol=1e-13, err_msg=player)


@few
@hypothesis.given(games)
def test_equals_the_mean_over_all_orders_of_arrival(drawn: tuple[int, int]) -> None:
    count, seed = drawn
    game = draw_game(count, seed)
    got = shapley_values(game.__getitem__, NAMES[:count])
    assert_values(got, mean_over_arrivals(game, count))


@few
@hypothesis.given(games)
def test_efficiency(drawn: tuple[int, int]) -> None:
    """Together they are worth what the game is worth."""
    count, seed = drawn
    game = draw_game(count, seed)
    total = sum(shapley_values(game.__getitem__, NAMES[:count]).values())
    np.testing.assert_allclose(total, game[frozenset(NAMES[:count])] - game[frozenset()])


@few
@hypothesis.given(games)
def test_symmetry_and_null_player(drawn: tuple[int, int]) -> None:
    """Players that are interchangeable get the same; one that never adds anything gets nothing."""
    count, seed = drawn
    generator = np.random.default_rng(seed)
    by_size = generator.normal(size=count + 1)
    values = shapley_values(lambda s: by_size[len(s)], NAMES[:count])
    assert_values(values, dict.fromkeys(NAMES[:count], (by_size[count] - by_size[0]) / count))
    game = draw_game(count, seed)
    players = (*NAMES[:count], "null")
    values = shapley_values(lambda s: game[s - {"null"}], players)
    assert_values(values, {**mean_over_arrivals(game, count), "null": 0.0})


@few
@hypothesis.given(games, st.floats(-3, 3))
def test_additivity(drawn: tuple[int, int], factor: float) -> None:
    """Linear in the game."""
    count, seed = drawn
    first, second = draw_game(count, seed), draw_game(count, seed // 2 + 1)
    players = NAMES[:count]
    left, right = (shapley_values(game.__getitem__, players) for game in (first, second))
    mixed = shapley_values(lambda s: first[s] + factor * second[s], players)
    for player in players:
        want = left[player] + factor * right[player]
        np.testing.assert_allclose(mixed[player], want, atol=1e-12)


def test_two_modalities_by_hand() -> None:
    """φ_a = ½ (v(a) − v(∅)) + ½ (v(a,b) − v(b))."""
    worth = {"": 1.0, "a": 4.0, "b": 2.0, "ab": 9.0}
    values = shapley_values(lambda s: worth["".join(sorted(s))], ["b", "a"])
    assert_values(values, {"a": 0.5 * 3.0 + 0.5 * 7.0, "b": 0.5 * 1.0 + 0.5 * 5.0})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_calls_the_game_once_for_each_subset(count: int) -> None:
    asked = []

    def value(subset: frozenset[str]) -> float:
        asked.append(subset)
        return float(len(subset))

    shapley_values(value, NAMES[:count])
    assert len(asked) == len(set(asked)) == 2**count


def test_is_traceable() -> None:
    """Under jit, grad and vmap: φ of v(S) = (Σ_{m∈S} x_m)² is x_m Σ x, for each of many games."""
    players = NAMES[:3]

    def values(x: jax.Array) -> dict[str, jax.Array]:
        def value(subset: frozenset[str]) -> jax.Array:
            return sum((x[players.index(m)] for m in subset), jnp.zeros(())) ** 2

        return shapley_values(value, players)

    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))
    got = jax.jit(jax.vmap(values))(x)
    for index, m in enumerate(players):
        np.testing.assert_allclose(got[m], x[:, index] * x.sum(axis=1), rtol=1e-12)
    gradient = jax.grad(lambda x: values(x)["audio"])(x[0])
    want = [x[0].sum() + x[0, 0], x[0, 0], x[0, 0]]
    np.testing.assert_allclose(gradient, want, rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_keeps_shape_and_dtype(dtype: jnp.dtype) -> None:
    values = shapley_values(lambda s: jnp.full((2, 3), len(s), dtype), NAMES[:2])
    assert {(value.shape, value.dtype) for value in values.values()} == {((2, 3), jnp.dtype(dtype))}


def test_counts_are_a_game() -> None:
    """Integers are no reason to round: one sample right by both and by neither alone."""
    values = shapley_values(lambda s: jnp.asarray(len(s) == 2, jnp.int32), NAMES[:2])
    assert_values(values, dict.fromkeys(NAMES[:2], 0.5))


@pytest.mark.parametrize("players", [(), ("audio", "audio")])
def test_players_are_checked(players: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="each of them once"):
        shapley_values(lambda subset: 0.0, players)
