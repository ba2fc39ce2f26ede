"""NumPy's files within bounds."""

import io

import numpy as np
import pytest

from masam_jax.data.array_files import parse_npy, parse_npz, read_npy
from tests.hostile_files import HOSTILE_HEADERS, npy


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(7, np.int64),
        np.zeros((0, 4), np.uint8),
        np.array(["ab", "c"]),
        np.arange(3, dtype=">i4"),
    ],
)
def test_arrays_are_those_of_numpy(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy")
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("header", HOSTILE_HEADERS)
def test_hostile_headers_are_refused(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(npy(header))
    with pytest.raises(ValueError, match=r"x\.npy is no whole \.npy file"):
        read_npy(tmp_path / "x.npy")


def test_bytes_too_few_or_too_many_are_refused():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4.0))
    for content in (buffer.getvalue()[:-1], buffer.getvalue() + b"\0"):
        with pytest.raises(ValueError, match=r"float64 \[4\], 32 bytes, and (31|33) follow"):
            parse_npy(content)


def test_an_archive_is_read_once_at_most(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.float32([[1]]))
    found = parse_npz((tmp_path / "x.npz").read_bytes())
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(100_000))
    with pytest.raises(ValueError, match="is compressed, too large or there twice"):
        parse_npz((tmp_path / "x.npz").read_bytes())
    with pytest.raises(ValueError, match="no whole archive"):
        parse_npz(b"PK\x03\x04")
