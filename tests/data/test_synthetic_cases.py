"""What the constructed cases hold, by linear classifiers of one modality, of both, of products."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from masam_jax.data import SyntheticConfig, make_synthetic
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.synthetic_cases import CASES


def _accuracy(inputs, labels, train=1000, penalty=1e6):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=3000))
    return model.fit(inputs[:train], labels[:train]).score(inputs[train:], labels[train:])


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_is_drawn_as_it_says(case):
    data = make_synthetic(case=case, samples=42, seed=3)
    assert data.modalities == SyntheticConfig(case=case).modalities == CASES[case].modalities
    assert data.num_classes == CASES[case].num_classes
    again = make_synthetic(parse_dataset(f"synthetic:case={case},samples=42,seed=3").options)
    other = make_synthetic(case=case, samples=42, seed=4)
    for modality, features in data.features.items():
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, again.features[modality])
        assert not np.array_equal(features, other.features[modality])


def test_in_competition_one_is_clean_and_the_other_separates_few_samples():
    data = make_synthetic(case="competition")
    fast, slow, labels = data.features["fast"], data.features["slow"], data.labels
    assert _accuracy(slow, labels, train=100) > 0.97
    fitted = LogisticRegression(C=1e6, max_iter=3000).fit(fast[:100], labels[:100])
    assert fitted.score(fast[:100], labels[:100]) == 1
    assert 0.75 < fitted.score(fast[100:], labels[100:]) < 0.92
    # What the clean one says lies where it varies little.
    assert _accuracy(slow, labels, train=100, penalty=0.01) < 0.6


def test_bits_say_nothing_alone_nor_added_and_everything_multiplied():
    data = make_synthetic(case="xor")
    first, second, labels = data.features["m0"], data.features["m1"], data.labels
    for inputs in (first, second, np.concatenate([first, second], axis=1)):
        assert abs(_accuracy(inputs, labels) - 0.5) < 0.06
    assert _accuracy(first * second, labels) == 1


def test_a_pad_says_nothing_alone_and_everything_added():
    data = make_synthetic(case="pad")
    first, second, labels = data.features["m0"], data.features["m1"], data.labels
    assert abs(_accuracy(first, labels) - 0.5) < 0.06
    assert abs(_accuracy(second, labels) - 0.5) < 0.1
    assert _accuracy(np.concatenate([first, second], axis=1), labels) == 1


def test_options_of_the_model_are_refused_where_they_mean_nothing():
    with pytest.raises(ValueError, match="noise is for case=gaussian; case=xor takes samples and"):
        SyntheticConfig(case="xor", noise=2.0)
    with pytest.raises(ValueError, match="at least one row for each of the 2 classes"):
        SyntheticConfig(case="pad", samples=1)
