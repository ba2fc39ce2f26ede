import numpy as np
import pytest

from masam_jax.data import Modality, MultimodalData


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
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {"a": (2, 2, 1), "b": (3,)}
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


def _trees():
    """A sequence and tokens, with masks."""
    mask = np.arange(5) < np.array([5, 2, 1, 3])[:, None]
    return {
        "steps": {"values": np.ones((4, 5, 2), np.float32) * mask[..., None], "mask": mask},
        "words": {"tokens": np.ones((4, 5), np.int32) * mask, "mask": mask},
    }


TREE_SPECS = {
    "words": Modality("tokens", (5,), np.int32, vocabulary_size=2),
    "steps": Modality("sequence", (5, 2)),
}


def test_features_may_be_trees_with_a_mask():
    data = _data(features=_trees(), specs=TREE_SPECS)
    assert data.modalities == tuple(data.modality_specs) == ("steps", "words")
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {
        "steps": (5, 2),
        "words": (5,),
    }
    assert data.features["words"]["tokens"].dtype == np.int32
    assert data.features["steps"]["mask"].dtype == np.bool_
    with pytest.raises(ValueError, match="read-only"):
        data.features["steps"]["values"][0] = 0
    assert data.select(["words"]).modality_specs == {"words": TREE_SPECS["words"]}


def test_trees_need_specs():
    with pytest.raises(ValueError, match="features with a mask need `specs`"):
        _data(features=_trees())
    with pytest.raises(
        ValueError, match=r"specs name \['steps', 'words'\], and features \['steps'\]"
    ):
        _data(features={"steps": _trees()["steps"]}, specs=TREE_SPECS)
    with pytest.raises(ValueError, match="features with a mask need `specs`"):
        _data(features=_trees(), specs={"steps": TREE_SPECS["steps"]})
    broken = _trees()
    broken["steps"]["mask"] = broken["steps"]["mask"][:3]
    with pytest.raises(ValueError, match=r"features\['steps'\]\['mask'\] have shape \(3, 5\)"):
        _data(features=broken, specs=TREE_SPECS)


def test_several_labels():
    labels = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.uint8)
    data = _data(labels=labels, num_classes=2, metric="auprc")
    assert data.multi_label
    assert data.labels.dtype == np.int32
    np.testing.assert_array_equal(data.labels, labels)
    assert not _data().multi_label
    assert _data(labels=labels[:, :1], num_classes=1).multi_label
    assert data.digest() != _data().digest()


def test_rows_of_several_labels_are_split_at_random():
    labels = np.random.default_rng(0).integers(0, 2, (20, 3))
    data = MultimodalData("toy", {"a": np.ones((20, 1))}, labels, 3)
    sizes = {"train_size": 8, "validation_size": 4, "test_size": 6}
    split = data.split(seed=1, **sizes)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [8, 4, 6]
    assert len(set(np.concatenate(split).tolist())) == 18
    np.testing.assert_array_equal(data.split(seed=2, **sizes).test, split.test)
    assert [len(part) for part in data.split(seed=1)] == [14, 2, 4]


def test_rows_present_are_of_every_modality_or_none():
    has = np.array([True, False, True, True])
    data = _data(present={"b": has})
    assert data.has_missing
    assert list(data.present) == ["a", "b"]
    np.testing.assert_array_equal(data.present["b"], has)
    assert data.present["a"].all()
    with pytest.raises(ValueError, match="read-only"):
        data.present["b"][0] = False
    assert data.select(["b"]).has_missing
    for nothing_lacks in (data.select(["a"]), _data(present={"a": np.ones(4, bool)}), _data()):
        assert not nothing_lacks.has_missing
        assert nothing_lacks.present == {}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_classes": 1}, "num_classes is 1"),
        ({"num_classes": 2}, r"labels run from 0 to 2.*0\.\.1"),
        ({"labels": np.array([0, -1, 2, 1])}, "labels run from -1"),
        ({"labels": np.array([0.0, 1.5, 2.0, 1.0])}, "float64, and some are no whole numbers"),
        ({"labels": np.full((4, 3), 2)}, r"run from 2 to 2; zeros and ones \[N, 3\]"),
        ({"labels": np.zeros((4, 1), int), "num_classes": 0}, "num_classes is 0; at least 1"),
        (
            {"present": {"c": np.ones(4, bool)}},
            "present names 'c'; the modalities are",
        ),
        ({"present": {"a": np.ones(3, bool)}}, r"present\['a'\] has shape \(3,\)"),
        ({"present": {"a": np.ones(4)}}, "dtype float64; booleans"),
        ({"labels": np.zeros(0, np.int32)}, "non-empty"),
        ({"features": {}}, "at least one modality"),
        ({"features": {"other": np.ones((4, 3))}}, "'other' cannot name"),
        ({"features": {"a/b": np.ones((4, 3))}}, "'a/b' cannot name"),
        ({"features": {"a": np.ones((5, 3))}}, r"features\['a'\] have shape \(5, 3\)"),
        ({"features": {"a": np.ones(4)}}, r"features\['a'\] have shape \(4,\); .* x\[:, None\]"),
        ({"features": {"a": [[1.0], [1.0, 2.0], [1.0], [1.0]]}}, r"\['a'\] are lists of different"),
        ({"features": {"a": np.full((4, 1), "x")}}, "real numbers"),
        ({"features": {"a": np.array([[0], [1], [np.nan], [np.inf]])}}, "2 non-finite"),
    ],
)
def test_bad_fields_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        _data(**changes)


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 28, 28)])
def test_arrays_of_three_axes_are_refused_with_both_cures(shape):
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    sides = ", ".join(map(str, shape[1:]))
    with pytest.raises(ValueError, match=r"features\['x'\] have shape .* does not say") as error:
        _data(features={"x": values})
    assert f"specs={{'x': Modality('sequence', ({sides}))}}" in str(error.value)
    assert "x[..., None]" in str(error.value)
    # Both cures work, and a spec of one modality leaves the others as they were.
    features = {"x": values, "b": np.ones((4, 3))}
    data = _data(features=features, specs={"x": Modality("sequence", shape[1:])})
    np.testing.assert_array_equal(data.features["x"]["values"], values.astype(np.float32))
    assert data.features["x"]["mask"].all()
    assert {m: spec.kind for m, spec in data.modality_specs.items()} == {
        "b": "vector",
        "x": "sequence",
    }
    images = _data(features={"x": values[..., None]})
    assert images.modality_specs["x"].kind == "image"


def test_arrays_of_five_axes_are_frames_if_specs_say_so():
    values = np.zeros((4, 2, 6, 5, 3), np.uint8)
    with pytest.raises(ValueError, match=r"Modality\('frames', \(2, 6, 5, 3\)\)"):
        _data(features={"x": values})
    spec = Modality("frames", (2, 6, 5, 3), np.uint8)
    assert _data(features={"x": values}, specs={"x": spec}).modality_specs["x"] == spec


@pytest.mark.parametrize(
    "spec, message",
    [
        (Modality("vector", (-3,)), r"specs\['b'\]: shape is \[-3\]; of kind 'vector' it is \[D\]"),
        (Modality("picture", (3,)), "kind is 'picture'; vector, image"),
        (Modality("vector", (3,), object), "dtype is object; real numbers"),
        (Modality("image", (3, 3)), r"of kind 'image' it is \[H, W, C\]"),
    ],
)
def test_specs_of_no_samples_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        _data(features={"b": np.ones((4, 3))}, specs={"b": spec})


def test_repr_is_three_lines():
    lines = repr(_data(present={"a": np.array([True, False, True, True])})).splitlines()
    assert lines == [
        "MultimodalData('toy', 4 samples, 3 classes)",
        "  modalities: a: image [2, 2, 1] (missing in 1), b: vector [3]",
        "  metric: accuracy; split: drawn",
    ]
    many = repr(_data(features={f"m{i}": np.ones((4, 2)) for i in range(50)})).splitlines()
    assert len(many) == 3
    assert many[1].endswith(", and 42 more")


def test_what_is_missing_may_be_nan():
    has = np.array([True, False, True, True])
    values = np.ones((4, 3), np.float32)
    values[1] = np.nan
    data = _data(features={"a": values, "b": np.ones((4, 2))}, present={"a": has})
    np.testing.assert_array_equal(data.features["a"], [[1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    assert data.features["a"].dtype == np.float32
    assert np.isnan(values[1]).all()
    values[2, 0] = np.inf
    with pytest.raises(ValueError, match=r"hold 1 non-finite values, in 1 rows, the first 2; none"):
        _data(features={"a": values, "b": np.ones((4, 2))}, present={"a": has})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"features": {"a": np.zeros((4, 0))}}, "no side may be 0"),
        ({"features": {"a": np.zeros((4, 0, 2, 3))}}, "no side may be 0"),
        ({"features": {"a": np.full((4, 1), 1e300)}}, "beyond 1e[+]37"),
        ({"features": {1: np.zeros((4, 2)), "b": np.zeros((4, 2))}}, "1 cannot name a modality"),
        ({"features": [1]}, "features are a list; a dict"),
        ({"present": [True]}, "present is a list; a dict"),
        ({"num_classes": 2.5}, "num_classes is 2.5; an integer"),
        ({"num_classes": True}, "num_classes is True; an integer"),
        (
            {
                "features": {"a": {"values": np.ones((4, 5, 2)), "mask": np.ones((4, 5))}},
                "specs": {"a": TREE_SPECS["steps"]},
            },
            r"\['mask'\] have dtype float64; booleans .*mask\.astype\(bool\)",
        ),
        (
            {
                "features": {"a": {"value": np.ones((4, 5, 2)), "mask": np.ones((4, 5), bool)}},
                "specs": {"a": TREE_SPECS["steps"]},
            },
            r"features\['a'\] have \['mask', 'value'\]; of kind 'sequence' they have",
        ),
        (
            {"features": {"a": np.ones((4, 5))}, "specs": {"a": TREE_SPECS["words"]}},
            r"have one array; of kind 'tokens' they have \['mask', 'tokens'\]",
        ),
    ],
)
def test_odd_data_are_refused_at_the_door(changes, message):
    with pytest.raises(ValueError, match=message):
        _data(**changes)


def test_data_of_one_class_are_split():
    data = MultimodalData("one", {"a": np.ones((40, 5))}, np.zeros(40, int), 2)
    split = data.split(seed=0, train_size=10, validation_size=10, test_size=10)
    assert [len(part) for part in split[:3]] == [10, 10, 10]


def test_labels_may_be_text_and_a_name_need_not_come_first():
    features = {"a": np.ones((4, 2))}
    data = MultimodalData(features, ["b", "a", "b", "c"], name="toy", keys=range(4))
    assert (data.name, data.num_classes, data.class_names) == ("toy", 3, ("a", "b", "c"))
    assert data.labels.tolist() == [1, 0, 1, 2]
    assert data.keys == ("0", "1", "2", "3")
    ordered = MultimodalData(features, ["b", "a", "b", "c"], class_names=["c", "b", "a"])
    assert ordered.labels.tolist() == [1, 2, 1, 0]
    numbers = MultimodalData(features, [3, 5, 3, 9])
    assert (numbers.labels.tolist(), numbers.class_names) == ([0, 1, 0, 2], ("3", "5", "9"))
    assert data.select(["a"]).class_names == data.class_names


def test_groups_stay_together():
    groups = np.repeat(["p", "q", "r", "s", "t"], 4)
    data = MultimodalData({"a": np.ones((20, 1))}, [0, 1] * 10, groups=groups)
    parts = [set(groups[part].tolist()) for part in data.split(seed=0)]
    assert len(set.union(*parts)) == sum(map(len, parts))


@pytest.mark.parametrize(
    "labels, more, words",
    [
        (["a", "a"], {}, "labels are all 'a'; at least 2 classes"),
        (["a", ""], {}, "row 1 holds ''"),
        (["a", None], {}, "row 1 holds None"),
        ([0.0, float("nan")], {}, "row 1 holds nan"),
        (["a", "b"], {"class_names": ["a", "c"]}, "unknown class 'b'"),
        ([0, 1], {"class_names": ["a", "a"]}, "class_names are 2, 1 of them different"),
        ([0, 1], {"keys": ["x", "x"]}, "keys have 'x' twice"),
        ([0, 1], {"groups": ["x"]}, "groups are 1; one for each of the 2 labels"),
    ],
)
def test_labels_and_names_are_checked(labels, more, words):
    with pytest.raises(ValueError, match=words):
        MultimodalData({"a": np.ones((2, 1))}, labels, **more)
