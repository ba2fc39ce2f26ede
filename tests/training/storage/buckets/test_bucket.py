"""Objects of a bucket, by short names, and what goes wrong with them in one line."""

import logging

import fsspec
import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets.bucket import Bucket, BucketError, is_bucket


def test_what_is_a_bucket():
    assert is_bucket("gs://a/b")
    assert is_bucket("s3://a/b")
    assert not any(map(is_bucket, ("/gs/a", "gs:/a", "runs/s3://", "")))


def test_objects(memory_buckets, tmp_path):
    bucket, other = Bucket("gs://ours/runs/1/"), Bucket("gs://ours/runs/10")
    other.write("x", b"not below the first")
    assert bucket.uri == "gs://ours/runs/1"
    assert (bucket.names(), bucket.read("a")) == ([], None)
    bucket.write("b/c/d", b"1")
    (tmp_path / "large").write_bytes(b"2" * 100)
    bucket.upload("a", tmp_path / "large")
    assert bucket.names() == ["a", "b/c/d"]
    assert bucket.download("a", tmp_path / "new" / "a")
    assert (tmp_path / "new" / "a").read_bytes() == b"2" * 100
    assert not bucket.download("c", tmp_path / "new" / "c")
    for _ in range(2):
        bucket.remove("a")
    assert bucket.names() == ["b/c/d"]


@pytest.mark.parametrize("path", ["", "/", "ours", "ours/", "/x", "ours//x", "ours/..", "ours/r*"])
def test_paths_that_are_refused(path):
    # "*" would remove what every run that matches has.
    with pytest.raises(RunError, match=r"is no path of a run in a bucket; expected gs://BUCKET/"):
        Bucket(f"gs://{path}")


def test_errors_name_the_object(memory_buckets, tmp_path):
    bucket = Bucket("gs://ours/run")
    memory_buckets.failure = ValueError("no credentials\nand a page more")
    with pytest.raises(BucketError, match=r"^gs://ours/run/a: ValueError: no credentials$"):
        bucket.write("a", b"")
    # That a file is gone is another matter.
    with pytest.raises(FileNotFoundError):
        bucket.upload("a", tmp_path / "gone")


def test_the_client_logs_no_traceback_of_its_own(memory_buckets, monkeypatch):
    log = logging.getLogger("gcsfs")
    monkeypatch.setattr(log, "level", logging.WARNING)
    monkeypatch.setenv("GCSFS_DEBUG", "DEBUG")
    Bucket("gs://ours/run")
    assert log.level == logging.WARNING
    monkeypatch.delenv("GCSFS_DEBUG")
    Bucket("gs://ours/run")
    assert log.level == logging.CRITICAL


def test_a_missing_package_is_named(monkeypatch):
    def fail(name):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", fail)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package s3fs: .*\[buckets\]"):
        Bucket("s3://ours/run")
