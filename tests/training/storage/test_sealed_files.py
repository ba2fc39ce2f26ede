"""Files of a run with a digest inside."""

import io
import json
import zipfile

import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.data import load_mfeat
from masam_jax.training.storage.data_facts import write_facts
from masam_jax.training.storage.sealed_files import (
    read_arrays,
    read_sealed_json,
    write_arrays,
    write_sealed_json,
)
from masam_jax.training.storage.surroundings import (
    read_fitted,
    read_statistics,
    write_fitted,
    write_statistics,
)


def test_arrays_come_back_and_numpy_reads_them(tmp_path):
    arrays = {"mean/a": np.float32([[1, 2]]), "std/a": np.float32([[3, 4]])}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert list(found) == list(arrays)
    for name in arrays:
        np.testing.assert_array_equal(found[name], arrays[name])
    with np.load(tmp_path / "x.npz") as file:
        np.testing.assert_array_equal(file["std/a"], arrays["std/a"])


def test_every_bit_of_an_array_file_counts(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, {"a": np.float32([1.5])})
    content = path.read_bytes()
    for place in range(8 * len(content)):
        altered = bytearray(content)
        altered[place // 8] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(RunError, match=r"x\.npz is damaged"):
            read_arrays(path)


def test_files_of_earlier_versions_are_read(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.float32([1.5]))
    assert read_arrays(tmp_path / "x.npz")["a"] == [1.5]
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert read_sealed_json(tmp_path / "x.json", ("a",)) == {"a": 1}


def test_a_value_that_changed_is_noticed(tmp_path):
    path = tmp_path / "x.json"
    write_sealed_json(path, {"a": [0.1, 1e-300, 3], "b": {"ρ": None}})
    assert read_sealed_json(path, ("a", "b")) == {"a": [0.1, 1e-300, 3], "b": {"ρ": None}}
    path.write_text(path.read_text().replace("0.1", "0.3"))
    with pytest.raises(RunError, match=r"x\.json is damaged: its content has not the digest"):
        read_sealed_json(path, ("a", "b"))


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"a": 1}', r"it lacks \['b'\]"),
        ('{"a": 1, "b": 2, "sha255": 3}', r"it has \['sha255'\] beside"),
        ("[" * 100_000 + "]" * 100_000, "is damaged"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "is damaged"),
        ('{"a": NaN, "b": 1, "sha256": "0"}', "is damaged"),
    ],
)
def test_other_content_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(RunError, match=message):
        read_sealed_json(tmp_path / "x.json", ("a", "b"))


def test_what_decoding_was_fitted_to_is_sealed(tmp_path):
    write_fitted(tmp_path, {"mean": np.float32([0.5])})
    assert read_fitted(tmp_path) == {"mean": [0.5]}
    path = tmp_path / "fitted.json"
    path.write_text(path.read_text().replace("0.5", "0.7"))
    with pytest.raises(RunError, match=r"fitted\.json is damaged"):
        read_fitted(tmp_path)


def test_statistics_of_other_modalities_are_refused(tmp_path):
    write_facts(tmp_path, load_mfeat().select(["mor", "zer"]))
    pair = tuple(np.ones((2, 6), np.float32) for _ in range(2))
    write_statistics(tmp_path, {"mor": pair})
    with pytest.raises(RunError, match=r"statistics\.npz is damaged: .*'mor': 6.*'zer': 47"):
        read_statistics(tmp_path)


def test_a_header_that_claims_much_takes_no_memory(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (1 << 50,)}
    )
    with zipfile.ZipFile(tmp_path / "statistics.npz", "w") as archive:
        archive.writestr("mean/a.npy", buffer.getvalue())
    with pytest.raises(RunError, match=r"its shape is \(1125899906842624,\)"):
        read_statistics(tmp_path)


def test_a_file_of_no_arrays_is_no_statistics(tmp_path):
    (tmp_path / "statistics.npz").write_bytes(json.dumps({}).encode())
    with pytest.raises(RunError, match=r"statistics\.npz is damaged or missing"):
        read_statistics(tmp_path)


def test_any_keys_are_taken_where_none_are_named(tmp_path):
    path = tmp_path / "result.json"
    write_sealed_json(path, {"title": "MASAM", "test": {"accuracy": [0.5]}})
    assert read_sealed_json(path) == {"title": "MASAM", "test": {"accuracy": [0.5]}}
    path.write_text(path.read_text().replace("0.5", "0.7"))
    with pytest.raises(RunError, match=r"result\.json is damaged: its content has not the digest"):
        read_sealed_json(path)
    path.write_text('{"of": "an earlier version"}')
    assert read_sealed_json(path) == {"of": "an earlier version"}
