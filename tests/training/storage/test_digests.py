"""Digests of a folder: of every file, however large, and of their own list."""

import hashlib
import shutil
import subprocess

import pytest

from masam_jax.training.storage.digests import DIGESTS_FILE, find_damage, write_digests


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "large").write_bytes(bytes(range(256)) * 20_000)
    (tmp_path / "a" / "two words").write_bytes(b"x")
    (tmp_path / "empty").write_bytes(b"")
    write_digests(tmp_path)
    return tmp_path


def test_every_file_has_its_sha256(folder):
    lines = (folder / DIGESTS_FILE).read_text().splitlines()[1:]
    assert dict(line.split("  ", 1)[::-1] for line in lines) == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("a/deep/large", "a/two words", "empty")
    }
    assert find_damage(folder) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_sha256sum_reads_the_list(folder):
    checked = ["sha256sum", "--check", "--quiet", DIGESTS_FILE]
    assert subprocess.run(checked, cwd=folder, check=False).returncode == 0
    (folder / "empty").write_bytes(b"0")
    assert subprocess.run(checked, cwd=folder, check=False, capture_output=True).returncode == 1


def test_a_file_that_came_later_is_no_damage(folder):
    (folder / ".DS_Store").write_bytes(b"1")
    assert find_damage(folder) is None


@pytest.mark.parametrize("name", ["a/deep/large", "a/two words", "empty"])
def test_a_changed_or_missing_file_is_named(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes() + b"0")
    assert find_damage(folder) == f"{name} was changed: its SHA-256 is not the one in SHA256SUMS"
    (folder / name).unlink()
    assert find_damage(folder) == f"{name} is missing"


def test_the_list_itself(folder):
    path = folder / DIGESTS_FILE
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]
        )
        assert find_damage(folder) == "SHA256SUMS was changed"
    path.write_bytes(content[: len(content) // 2])
    assert find_damage(folder) == "SHA256SUMS was changed"
    path.unlink()
    assert find_damage(folder) == "SHA256SUMS is missing"
