"""CKA against the papers' equations in NumPy, with matrices of centring written out."""

import numpy as np
import pytest

from masam_jax.geometry.similarity import cka

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5))
Y = np.concatenate([X[:, :2] * 3 + 1, RNG.normal(size=(30, 4))], axis=1)


def hsic(k, l):  # noqa: E741
    """tr(KHLH) of Gretton et al. (2005)."""
    centre = np.eye(len(k)) - 1 / len(k)
    return np.trace(k @ centre @ l @ centre)


def hsic_1(k, l):  # noqa: E741
    """Equation 3 of Nguyen et al. (2021), term by term."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    ones = np.ones(n)
    terms = np.trace(k @ l) + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (terms - 2 / (n - 2) * ones @ k @ l @ ones) / (n * (n - 3))


def of_terms(term, batches):
    crossed, own, other = (
        np.mean([term(a @ a.T, b @ b.T) for a, b in pairs])
        for pairs in (batches, [(a, a) for a, _ in batches], [(b, b) for _, b in batches])
    )
    return crossed / np.sqrt(own * other)


def test_linear_cka():
    assert cka(X, Y) == pytest.approx(of_terms(hsic, [(X, Y)]), rel=1e-12)
    assert cka([X[:7], X[7:]], [Y[:7], Y[7:]]) == pytest.approx(cka(X, Y), rel=1e-12)


def test_unbiased_cka_of_batches():
    batches = [(X[:10], Y[:10]), (X[10:], Y[10:])]
    found = cka([x for x, _ in batches], [y for _, y in batches], unbiased=True)
    assert found == pytest.approx(of_terms(hsic_1, batches), rel=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_turned_and_scaled_features_are_the_same(unbiased):
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    assert cka(X, 7 * X @ turn + 2, unbiased=unbiased) == pytest.approx(1, rel=1e-10)


def test_chance_agreement_is_corrected():
    x, y = RNG.normal(size=(20, 200)), RNG.normal(size=(20, 200))
    assert cka(x, y) > 0.8
    assert abs(cka(x, y, unbiased=True)) < 0.2


@pytest.mark.parametrize(
    "first, second, options, message",
    [
        (X, Y[:9], {}, "different numbers of samples"),
        (X, Y[:, 0], {}, "second must be features"),
        (X[:3], Y[:3], {"unbiased": True}, "needs 4 samples in each batch, got 3"),
        (X, np.ones((30, 2)), {}, "do not vary"),
        ([], [], {}, "first must be features"),
    ],
)
def test_mistakes_at_the_door(first, second, options, message):
    with pytest.raises(ValueError, match=message):
        cka(first, second, **options)
