import hypothesis
import hypothesis.strategies as st
import numpy as np

from masam_jax.data.corruption.stratified_order import stratified_order


def _seats(counts: list[int], size: int) -> np.ndarray:
    """Sainte-Laguë by its definition: each seat to the class with the largest n / (2 s + 1)."""
    seats = np.zeros(len(counts), np.int64)
    for _ in range(size):
        seats[np.argmax(np.where(seats < counts, np.array(counts) / (2 * seats + 1), -1))] += 1
    return seats


@hypothesis.given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 2**40),
)
def test_every_beginning_is_sainte_lagues(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    order = stratified_order(labels, np.arange(len(labels)), seed, 1)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    # Quotients that tie may fall either way; then the two differ by a seat, and agree on the next.
    for size in range(len(labels) + 1):
        found = np.bincount(labels[order[:size]], minlength=len(counts))
        wanted = _seats(counts, size)
        quotients = np.array(counts) / (2 * np.minimum(found, wanted) + 1)
        differ = found != wanted
        assert np.abs(found - wanted).max() <= 1
        assert len(np.unique(quotients[differ])) <= 1


def test_classes_of_one_size_come_in_turns_in_random_order():
    labels = np.repeat(np.arange(5), 20)
    firsts = []
    for seed in range(400):
        order = stratified_order(labels, np.arange(100), seed, 1)
        turns = labels[order].reshape(20, 5)
        np.testing.assert_array_equal(np.sort(turns, axis=1), np.tile(np.arange(5), (20, 1)))
        firsts.append(turns[0, 0])
    # Binomial(400, 1/5) has standard deviation 8; the seeds are fixed.
    assert np.abs(np.bincount(firsts) - 80).max() < 32
