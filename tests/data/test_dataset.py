import numpy as np
import pytest

from masam_jax.data import MultimodalData


def _data(**changes):
    fields = {
        "name": "toy",
        "features": {"b": np.ones((4, 3), np.float32), "a": np.zeros((4, 2, 2, 1), np.uint8)},
        "labels": np.array([0, 1, 2, 1], np.uint8),
        "num_classes": 3,
    }
    return MultimodalData(**(fields | changes))


def test_modalities_are_sorted_and_shapes_leave_out_the_rows():
    data = _data()
    assert data.modalities == ("a", "b")
    assert data.feature_shapes == {"a": (2, 2, 1), "b": (3,)}
    assert len(data) == 4
    assert data.labels.dtype == np.int32


def test_arrays_are_read_only_and_the_callers_own_stay_writable():
    features, labels = {"a": np.ones((2, 1), np.float32)}, np.array([0, 1], np.int32)
    data = MultimodalData("toy", features, labels, 2)
    for array in (data.features["a"], data.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    features["a"][0] = 7.0
    labels[0] = 1
    assert data.features["a"][0, 0] == 1.0
    assert data.labels[0] == 0


def test_select_keeps_the_rows_of_some_modalities():
    data = _data().select(["b"])
    assert data.modalities == ("b",)
    np.testing.assert_array_equal(data.labels, [0, 1, 2, 1])


def test_select_names_the_nearest_modality():
    data = _data(features={"audio": np.ones((4, 3)), "video": np.ones((4, 3))})
    with pytest.raises(ValueError, match=r"'vidoe'.*did you mean 'video'.*audio, video"):
        data.select(["vidoe"])
    with pytest.raises(ValueError, match="at least one modality"):
        data.select([])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_classes": 1}, "num_classes is 1"),
        ({"num_classes": 2}, r"labels run from 0 to 2.*0\.\.1"),
        ({"labels": np.array([0, -1, 2, 1])}, "labels run from -1"),
        ({"labels": np.array([0.0, 1.0, 2.0, 1.0])}, "float64"),
        ({"labels": np.zeros((4, 1), np.int32)}, r"shape \(4, 1\)"),
        ({"labels": np.zeros(0, np.int32)}, "non-empty"),
        ({"features": {}}, "at least one modality"),
        ({"features": {"other": np.ones((4, 3))}}, "'other' cannot name"),
        ({"features": {"a/b": np.ones((4, 3))}}, "'a/b' cannot name"),
        ({"features": {"a": np.ones((5, 3))}}, r"features\['a'\] have shape \(5, 3\)"),
        ({"features": {"a": np.ones(4)}}, r"features\['a'\] have shape \(4,\)"),
        ({"features": {"a": np.full((4, 1), "x")}}, "real numbers"),
        ({"features": {"a": np.array([[0], [1], [np.nan], [np.inf]])}}, "2 non-finite"),
    ],
)
def test_bad_fields_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        _data(**changes)
