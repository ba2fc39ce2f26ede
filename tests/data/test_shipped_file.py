import importlib.resources
import pathlib

import pytest

from masam_jax.data import mfeat
from masam_jax.data.shipped_file import read_published


def test_a_damaged_file_is_refused(tmp_path: pathlib.Path):
    packaged = importlib.resources.files("masam_jax.data") / "files" / "mfeat.npz"
    content = bytearray(packaged.read_bytes())
    content[1000] ^= 1
    damaged = tmp_path / "mfeat.npz"
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"mfeat: .* damaged: its sha256 is .* reinstall"):
        read_published("mfeat", mfeat._SHA256, damaged)


def test_a_missing_file_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(ValueError, match=r"mfeat: cannot read .*absent\.npz.*reinstall"):
        read_published("mfeat", mfeat._SHA256, tmp_path / "absent.npz")
