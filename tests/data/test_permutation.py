import numpy as np

from masam_jax.data.permutation import seeded_permutation


def test_known_values_never_change():
    # A change here changes every split and every order of training ever written down.
    assert seeded_permutation(8, 0, 1).tolist() == [1, 3, 6, 2, 0, 7, 5, 4]
    assert seeded_permutation(8, 5, 3, 2).tolist() == [4, 6, 3, 5, 0, 7, 1, 2]


def test_is_a_permutation_that_depends_on_seed_and_on_every_key():
    drawn = [
        seeded_permutation(50, *key) for key in [(0,), (1,), (0, 0), (0, 1), (0, 1, 0), (1, 0)]
    ]
    for order in drawn:
        assert order.dtype == np.int32
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert len({order.tobytes() for order in drawn}) == len(drawn)


def test_every_item_is_as_likely_first():
    first = np.bincount([seeded_permutation(4, seed)[0] for seed in range(2000)], minlength=4)
    # Binomial(2000, 1/4) has standard deviation 19.4; the seeds are fixed, so this cannot flicker.
    assert np.abs(first - 500).max() < 80


def test_empty():
    assert seeded_permutation(0, 3).shape == (0,)
