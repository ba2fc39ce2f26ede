"""Modalities that too few samples have."""

import numpy as np
import pytest

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.presence import lost_modalities, scarce_modalities


def _data(has):
    rows = len(has)
    features = {name: np.ones((rows, 2)) for name in ("a", "b")}
    return MultimodalData("mine", features, np.arange(rows) % 2, 2, present={"b": np.array(has)})


def test_a_modality_that_no_training_row_has_is_an_error():
    data = _data([False, False, False, True])
    with pytest.raises(ValueError, match=r"mine: none of the 3 training samples has .* 'b'"):
        scarce_modalities(data, np.arange(3))


def test_one_that_most_lack_is_a_warning():
    data = _data([True, False, False, True])
    (warning,) = scarce_modalities(data, np.arange(3))
    assert "67 % of the training samples lack the modality 'b'" in warning
    assert scarce_modalities(data, np.arange(4)) == ()


def test_what_was_lost_in_preparing():
    keys, lost = ["k1", "k2"], {"k3": "a.jpg: cut", "k4": "b.jpg: cut", "k5": "c.jpg: cut"}
    (warning,) = lost_modalities("d", "train", ["a", "b"], keys, {}, lost)
    first = "3 could not be read, the first is k3: a.jpg: cut"
    assert warning == f"train: 2 samples could be read, {first}"
    once = {"k3": "a.jpg: cut", "k4": "b.jpg: cut"}
    (warning,) = lost_modalities("d", "train", ["a", "b"], keys, {"b": ["k1"]}, once)
    assert warning.startswith("train: 1 samples have the modality 'b'; 2 could not be read")
    assert lost_modalities("d", "train", ["a", "b"], keys, {}, once) == []
    with pytest.raises(ValueError, match="d: no sample of the split 'train' has the modality 'b'"):
        lost_modalities("d", "train", ["a", "b"], keys, {"b": keys}, lost)
    with pytest.raises(ValueError, match="none is listed with it"):
        lost_modalities("d", "full", ["a", "b"], keys, {"b": keys}, {})
    # Without test samples a network can be trained.
    assert lost_modalities("d", "test", ["a", "b"], keys, {"b": keys}, {}) == []
