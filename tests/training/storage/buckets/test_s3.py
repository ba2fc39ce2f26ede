"""The same against a server that speaks the protocol of S3."""

import fsspec
import pytest
from etils.epath import backend

from masam_jax.training.storage.buckets.bucket import Bucket, BucketError
from masam_jax.training.storage.buckets.lease import LEASE, Lease
from masam_jax.training.storage.buckets.mirror import Mirror

s3fs = pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture
def s3(monkeypatch):
    """An empty bucket, ``s3://ours``."""
    import boto3
    from etils.epath import backend

    # Both keep what was connected to the server of an earlier test.
    s3fs.S3FileSystem.clear_instance_cache()
    backend.fsspec_backend._get_filesystem.cache_clear()
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "EPATH_USE_TF": "false",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="ours")
    _forget_clients()
    yield client
    _forget_clients()
    running.stop()


def _forget_clients():
    """Those that were made for another server."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    type(backend.fsspec_backend)._get_filesystem.cache_clear()


def test_a_run(s3, tmp_path):
    local = tmp_path / "run"
    (local / "checkpoints" / "1").mkdir(parents=True)
    for name in ("config.json", "metrics.jsonl", "checkpoints/1/SHA256SUMS"):
        (local / name).write_text(name)
    bucket = Bucket("s3://ours/runs/one")
    assert bucket.names() == []
    mirror = Mirror(local, bucket, Lease(bucket))
    mirror.bring()
    with (local / "metrics.jsonl").open("a") as file:
        file.write("more")
    (local / "checkpoints" / "1" / "SHA256SUMS").unlink()
    mirror.bring()
    assert bucket.names() == [LEASE, "config.json", "metrics.jsonl"]
    assert bucket.download("metrics.jsonl", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "metrics.jsonlmore"
    assert bucket.read("gone") is None
    bucket.remove("gone")
    with pytest.raises(BucketError, match="s3://nowhere/run/a: FileNotFoundError"):
        Bucket("s3://nowhere/run").write("a", b"1")


def test_folders_as_consoles_make_them(s3):
    for name in ("one/", "one/checkpoints/"):
        s3.put_object(Bucket="ours", Key=name, Body=b"")
    bucket = Bucket("s3://ours/one")
    assert bucket.names() == []
    bucket.write("config.json", b"{}")
    assert bucket.names() == ["config.json"]
