import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from masam_jax.models.weights import check_all_taken, read_safetensors, take


def test_narrow_numbers_become_float32_and_others_stay(tmp_path):
    tensors = {
        "brain": np.asarray([1.5, -3.0], ml_dtypes.bfloat16),
        "half": np.asarray([[0.25, 65504.0]], np.float16),
        "double": np.asarray([1 / 3], np.float64),
        "count": np.asarray(7, np.int64),
    }
    save_file(tensors, tmp_path / "some.safetensors")
    read = read_safetensors(str(tmp_path / "some.safetensors"))
    assert {name: tensor.dtype.name for name, tensor in read.items()} == {
        "brain": "float32",
        "half": "float32",
        "double": "float64",
        "count": "int64",
    }
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor.astype(read[name].dtype))


@pytest.mark.parametrize("damage", [lambda whole: whole[:-3], lambda whole: b"", lambda _: b"{}"])
def test_a_damaged_file_is_named(damage, tmp_path):
    path = tmp_path / "damaged.safetensors"
    save_file({"a": np.arange(4.0)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"damaged\.safetensors cannot be read"):
        read_safetensors(path)


def test_take_and_check_all_taken_say_what_there_is():
    tensors = {"a.weight": np.ones((2, 3)), "pooler.bias": np.ones(2)}
    assert take(tensors, "a.weight", (2, 3)) is tensors["a.weight"]
    with pytest.raises(ValueError, match="there are none at all"):
        take({}, "a.weight", (2, 3))
    with pytest.raises(ValueError, match=r"its names are a.weight, pooler.bias"):
        take(tensors, "zzz", (2, 3))
    check_all_taken(tensors, {"a.weight"}, [r"pooler\..*"])
    with pytest.raises(ValueError, match=r"no place for: pooler.bias\."):
        check_all_taken(tensors, {"a.weight"}, ["pooler"])


def test_a_message_lists_a_few_names_of_many():
    tensors = {f"layer.{index}": np.ones(1) for index in range(9)}
    with pytest.raises(ValueError, match=r"layer.0, .*layer.5, and 3 more"):
        check_all_taken(tensors, ())
    with pytest.raises(ValueError, match=r"its names are layer.0, .*layer.5, and 3 more"):
        take(tensors, "zzz", (1,))


@pytest.mark.parametrize("missing", ["safetensors", "safetensors.numpy"])
def test_without_the_package_the_error_says_what_to_install(missing, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install '\.\[weights\]' in a clone"):
        read_safetensors(tmp_path / "any.safetensors")
