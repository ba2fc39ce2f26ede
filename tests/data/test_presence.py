"""Modalities that too few samples have."""

import numpy as np
import pytest

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.presence import scarce_modalities


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
