import pytest

from masam_jax.analysis.conclusion import headline
from masam_jax.analysis.tables import comparison_table
from tests.analysis.fake_directories import fake_result

BASELINE = [0.93, 0.92, 0.94, 0.91, 0.925]


def _sentence(*methods, dataset="mfeat"):
    results = {"baseline": methods[0][0], "methods": [fake_result(n, n, a) for n, a in methods]}
    return headline(comparison_table(results), dataset)


def _shifted(*thousandths):
    return [a + t / 1000 for a, t in zip(BASELINE, thousandths, strict=True)]


def test_a_clear_winner_is_called_significant():
    text = _sentence(("base", BASELINE), ("masam", _shifted(10, 11, 9, 12, 10)))
    assert text.startswith("masam has the highest test accuracy on mfeat, 93.54 ± ")
    assert "over 5 seeds: 1.04 points above the baseline base (92.50 ± 1.12 %)" in text
    assert "a significant difference (paired t-test, p = " in text
    assert "Holm" not in text


def test_a_lead_within_chance_is_not():
    text = _sentence(("base", BASELINE), ("masam", _shifted(10, -8, 9, -7, 3)))
    assert "a difference that the seeds do not tell from chance (paired t-test, p = 0.7" in text


def test_correction_for_many_methods_decides():
    # p is about 0.03: below 0.05 alone, not among five.
    lucky = ("lucky", _shifted(10, 2, 9, 3, 2))
    assert "a significant difference" in _sentence(("base", BASELINE), lucky)
    noise = [(f"m{i}", _shifted(-1, 1, i, -i, 0)) for i in range(1, 5)]
    text = _sentence(("base", BASELINE), lucky, *noise)
    assert "do not tell from chance" in text
    assert "after Holm's correction for 5 comparisons" in text


def test_a_leading_baseline_is_said_to_lead():
    text = _sentence(
        ("base", BASELINE),
        ("a", _shifted(-9, -8, -9, -10, -9)),
        ("b", _shifted(-19, -18, -19, -20, -19)),
    )
    assert text.startswith("No method beats the baseline base on mfeat, which has 92.50")
    assert "; a comes closest, 0.90 points below, a significant difference (" in text


def test_a_tie_is_a_tie():
    assert _sentence(("base", BASELINE), ("a", BASELINE)).endswith("; a ties with it.")


def test_one_seed_claims_nothing():
    text = _sentence(("base", [0.9]), ("a", [0.91]))
    assert "91.00 % with one seed: 1.00 points above" in text
    assert text.endswith("which one seed cannot tell from chance.")
    assert "nan" not in text.lower()
    assert "—" not in text


def test_equal_differences_have_no_p_value():
    text = _sentence(("base", [0.9, 0.8]), ("a", [0.91, 0.81]))
    assert "the same on every seed" in text


@pytest.mark.parametrize("dataset,where", [("mfeat", " on mfeat"), (None, "")])
def test_a_single_method_is_only_described(dataset, where):
    text = _sentence(("masam", [0.9, 0.92]), dataset=dataset)
    assert text == f"masam reached 91.00 ± 1.41 % test accuracy{where} over 2 seeds."


def test_divergence_is_reported():
    nan = float("nan")
    assert "the baseline base diverged" in _sentence(("base", [nan, 0.9]), ("a", [0.9, 0.8]))
    text = _sentence(("base", [0.9, 0.8]), ("a", [nan, 0.8]))
    assert text.endswith("no other method kept finite results on every seed.")
    assert _sentence(("base", [nan]), ("a", [nan])).startswith("No method kept finite results")
