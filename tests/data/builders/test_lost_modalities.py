"""Modalities that too few samples of a source have."""

import pytest

from masam_jax.data.builders.lost_modalities import lost_modalities


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
