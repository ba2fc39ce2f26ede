"""What callers bring along is checked at the door."""

import numpy as np
import pytest

from masam_jax.data import Modality
from masam_jax.data.raw_inputs import check_inputs, slices

SPECS = {
    "image": Modality("image", (4, 4, 3), np.uint8),
    "series": Modality("sequence", (5, 2)),
    "text": Modality("tokens", (6,), np.int32, vocabulary_size=10),
    "vector": Modality("vector", (3,)),
}


def some(count=2):
    """Inputs as they are asked for."""
    return {
        "image": np.full((count, 4, 4, 3), 7, np.uint8),
        "series": {
            "values": np.ones((count, 5, 2), np.float32),
            "mask": np.ones((count, 5), np.bool_),
        },
        "text": {
            "tokens": np.full((count, 6), 9, np.int32),
            "mask": np.ones((count, 6), np.bool_),
        },
        "vector": np.ones((count, 3), np.float32),
    }


def changed(modality, part=None, **how):
    """Those, but for one array: of another value at one place, or another shape or dtype."""
    inputs = some()
    array = inputs[modality] if part is None else inputs[modality][part]
    array = array.astype(how.get("dtype", array.dtype))
    if "value" in how:
        array.flat[0] = how["value"]
    if "shape" in how:
        array = np.zeros(how["shape"], array.dtype)
    return inputs | {modality: array if part is None else inputs[modality] | {part: array}}


def test_what_is_right_stays_as_it_is():
    given = some()
    found = check_inputs(given, SPECS)
    assert found.inputs["image"] is given["image"]
    assert found.inputs["text"]["tokens"] is given["text"]["tokens"]
    assert all(has.tolist() == [True, True] for has in found.present.values())


def test_dtypes_become_those_of_the_data():
    inputs = changed("vector", dtype=np.float64) | {"series": changed("series", "values")["series"]}
    inputs = inputs | {"text": changed("text", "tokens", dtype=np.int64)["text"]}
    inputs = inputs | {"image": changed("image", dtype=np.uint16)["image"]}
    found = check_inputs(inputs, SPECS).inputs
    assert found["vector"].dtype == found["series"]["values"].dtype == np.float32
    assert found["text"]["tokens"].dtype == np.int32
    assert found["image"].dtype == np.uint8
    np.testing.assert_array_equal(found["image"], 7)
    lists = check_inputs({"vector": [[1, 2, 3]]}, {"vector": SPECS["vector"]})
    np.testing.assert_array_equal(lists.inputs["vector"], np.float32([[1, 2, 3]]))


@pytest.mark.parametrize(
    "inputs, message",
    [
        ([1, 2], "inputs are a list; a dict with the modalities image, series, text, vector"),
        (some() | {"vectro": 1}, "unknown modality 'vectro'; did you mean 'vector'"),
        ({"vector": np.ones((2, 3))}, "inputs lack 'image': give its samples, or None"),
        (dict.fromkeys(SPECS), "inputs have no modality; at least one of image, series, text"),
        (some() | {"vector": np.ones((3, 3))}, r"numbers of samples: \[2\] of 'image'.*\[3\] of"),
        (some(0), "inputs have no samples"),
        (some() | {"vector": {"values": 1}}, r"inputs\['vector'\] are a dict; an array is needed"),
        (some() | {"text": np.ones((2, 6))}, r"\['text'\] have ndarray; \['mask', 'tokens'\]"),
        (some() | {"text": {"tokens": 1}}, r"\['text'\] have \['tokens'\]; \['mask', 'tokens'\]"),
        (changed("vector", shape=(3,)), r"\['vector'\] have shape \(3,\); \[n, 3\] is needed"),
        (changed("image", shape=(2, 4, 4)), r"shape \(2, 4, 4\); \[n, 4, 4, 3\] is needed"),
        (changed("image", dtype=np.float32), r"\['image'\] have dtype float32; uint8 is needed"),
        (changed("image", dtype=np.uint16, value=300), "too large for uint8"),
        (changed("series", "mask", dtype=np.int32), r"\['mask'\] have dtype int32; bool is needed"),
        (changed("series", "mask", shape=(2, 4)), r"\['mask'\] have shape \(2, 4\); \[n, 5\]"),
        (changed("series", "values", value=np.nan), r"\['series'\] hold 1 non-finite values"),
        (changed("vector", dtype=np.float64, value=1e300), r"\['vector'\] hold 1 non-finite"),
        (changed("text", "tokens", value=10), r"\['text'\] hold tokens 9 to 10; 0 to 9 are needed"),
        (changed("text", "tokens", value=-1), "hold tokens -1 to 9; 0 to 9"),
        (changed("text", "tokens", dtype=np.int64, value=2**32), "too large for int32"),
        (changed("text", "tokens", dtype=np.float32), "have dtype float32; int32 is needed"),
    ],
)
def test_anything_else_is_refused_by_name(inputs, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(inputs, SPECS)


def test_missing_modalities_are_zeros_and_marked():
    given = some() | {"image": None}
    del given["text"]
    found = check_inputs(given, SPECS, may_lack=True)
    assert found.inputs["image"].shape == (2, 4, 4, 3)
    assert found.inputs["image"].dtype == np.uint8
    assert not found.inputs["image"].any()
    assert found.inputs["text"]["tokens"].shape == (2, 6)
    assert not found.inputs["text"]["mask"].any()
    assert [m for m, has in found.present.items() if has.all()] == ["series", "vector"]
    assert [m for m, has in found.present.items() if not has.any()] == ["image", "text"]


def test_what_a_sample_lacks_is_not_looked_at():
    given = changed("vector", value=np.nan)
    found = check_inputs(given, SPECS, present={"vector": np.array([False, True])})
    assert found.present["vector"].tolist() == [False, True]
    with pytest.raises(ValueError, match="non-finite"):
        check_inputs(given, SPECS, present={"vector": np.array([True, False])})


@pytest.mark.parametrize(
    "present, message",
    [
        ({"voice": [True, True]}, "present: unknown modality 'voice'"),
        ({"vector": [1, 0]}, r"present\['vector'\] has shape \(2,\) and dtype int64; booleans \[2"),
        ({"vector": [True]}, r"shape \(1,\) and dtype bool; booleans \[2\] are needed"),
        (dict.fromkeys(SPECS, (True, False)), "sample 1 has no modality"),
    ],
)
def test_presence_is_checked(present, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(some(), SPECS, present)


def test_tokens_that_are_not_real_may_be_any():
    given = changed("text", "tokens", value=99)
    given["text"]["mask"][0, 0] = False
    check_inputs(given, SPECS)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_slices_are_of_one_size(size):
    samples = check_inputs({"vector": np.arange(15).reshape(5, 3)}, {"vector": SPECS["vector"]})
    parts = list(slices(samples, size))
    assert all(len(part.inputs["vector"]) == size for part, _ in parts)
    kept = [part.inputs["vector"][:count] for part, count in parts]
    np.testing.assert_array_equal(np.concatenate(kept), np.arange(15).reshape(5, 3))
    assert all(part.present["vector"].all() for part, _ in parts)
