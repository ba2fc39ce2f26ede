"""What a bucket holds of a run, wherever copying is cut off."""

import shutil

import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets import mirror as mirrors
from masam_jax.training.storage.buckets.bucket import Bucket, BucketError
from masam_jax.training.storage.buckets.lease import LEASE, Lease
from masam_jax.training.storage.buckets.mirror import Mirror, whole_names
from masam_jax.training.storage.digests import find_damage, write_digests


@pytest.fixture
def bucket(memory_buckets):
    return Bucket("gs://ours/run")


@pytest.fixture
def local(tmp_path):
    path = tmp_path / "run"
    for name in ("config.json", "metrics.jsonl", "result.json", ".lock", ".a.unfinished-1"):
        path.mkdir(exist_ok=True)
        (path / name).write_text(name)
    _checkpoint(path, 10)
    return path


def _checkpoint(path, step, content="state"):
    folder = path / "checkpoints" / str(step)
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "array").write_text(content)
    (folder / ".hidden").write_text("a part of it all the same")
    write_digests(folder)


def _writes(monkeypatch, fail_at=None):
    """The order of what is written and removed; the one of a number fails."""
    done = []
    for kind in ("upload", "remove"):
        real = getattr(Bucket, kind)

        def call(self, name, *rest, kind=kind, real=real):
            if len(done) == fail_at:
                raise BucketError("cut off")
            done.append(name if kind == "upload" else f"-{name}")
            real(self, name, *rest)

        monkeypatch.setattr(Bucket, kind, call)
    return done


def _names(bucket):
    return [name for name in bucket.names() if name != LEASE]


def test_order(bucket, local, monkeypatch):
    done = _writes(monkeypatch)
    mirror = Mirror(local, bucket, Lease(bucket))
    mirror.bring()
    assert done == [
        "config.json",
        "metrics.jsonl",
        "checkpoints/10/.hidden",
        "checkpoints/10/state/array",
        "checkpoints/10/SHA256SUMS",
        "result.json",
    ]
    done.clear()
    mirror.bring()
    assert not done
    (local / "result.json").unlink()
    (local / "metrics.jsonl").write_text("more than it was")
    (local / "checkpoints" / "10").rename(local / "checkpoints" / "10.removed")
    _checkpoint(local, 20)
    mirror.bring()
    assert done == [
        "-result.json",
        "metrics.jsonl",
        "checkpoints/20/.hidden",
        "checkpoints/20/state/array",
        "checkpoints/20/SHA256SUMS",
        "-checkpoints/10/SHA256SUMS",
        "-checkpoints/10/.hidden",
        "-checkpoints/10/state/array",
    ]


@pytest.mark.parametrize("cut", range(9))
def test_cut_off_anywhere_a_whole_checkpoint_is_there(bucket, local, tmp_path, monkeypatch, cut):
    mirror = Mirror(local, bucket, Lease(bucket))
    mirror.bring()
    shutil.rmtree(local / "checkpoints" / "10")
    _checkpoint(local, 20, "another state")
    with monkeypatch.context() as patch:
        _writes(patch, fail_at=cut)
        if cut < 6:
            with pytest.raises(BucketError, match="cut off"):
                mirror.bring()
        else:
            mirror.bring()
    names = whole_names(bucket.names())
    for name in names:
        bucket.download(name, tmp_path / "back" / name)
    whole = list((tmp_path / "back" / "checkpoints").iterdir())
    assert whole
    assert all(find_damage(folder) is None for folder in whole)
    mirror.bring()
    assert {name.split("/")[1] for name in _names(bucket) if "/" in name} == {"20"}


def test_what_an_earlier_session_copied_is_not_copied_again(bucket, local, monkeypatch):
    lease = Lease(bucket)
    Mirror(local, bucket, lease).bring()
    done = _writes(monkeypatch)
    Mirror(local, bucket, lease, _names(bucket)).bring()
    assert done == ["config.json", "metrics.jsonl", "result.json"]


def test_another_checkpoint_of_the_same_step(bucket, local, monkeypatch):
    lease = Lease(bucket)
    Mirror(local, bucket, lease).bring()
    shutil.rmtree(local / "checkpoints" / "10")
    _checkpoint(local, 10, "another")
    done = _writes(monkeypatch)
    Mirror(local, bucket, lease, _names(bucket)).bring()
    # It is none while its files are of two.
    assert done[2:6] == [
        "-checkpoints/10/SHA256SUMS",
        "checkpoints/10/.hidden",
        "checkpoints/10/state/array",
        "checkpoints/10/SHA256SUMS",
    ]


def test_a_run_that_left_nothing(bucket, tmp_path, local):
    mirror = Mirror(local, bucket, Lease(bucket))
    mirror.bring()
    shutil.rmtree(local)
    local.mkdir()
    mirror.bring()
    assert not _names(bucket)
    # What another session wrote stays.
    bucket.write("config.json", b"{}")
    Mirror(local, bucket, mirror._lease, ["config.json"]).bring()
    assert _names(bucket) == ["config.json"]


def test_what_somebody_put_beside_a_run_stays(bucket, local):
    lease = Lease(bucket)
    Mirror(local, bucket, lease).bring()
    bucket.write("notes.txt", b"theirs")
    bucket.write("checkpoints/1/left", b"by who was killed")
    Mirror(local, bucket, lease, _names(bucket)).bring()
    assert {"notes.txt", "checkpoints/1/left"} & set(_names(bucket)) == {"notes.txt"}


def test_another_run_goes_once_this_one_has_begun(bucket, local, tmp_path, monkeypatch):
    lease = Lease(bucket)
    Mirror(local, bucket, lease).bring()
    there, later = _names(bucket), tmp_path / "later"
    later.mkdir()
    mirror = Mirror(later, bucket, lease, there, replaces=True)
    mirror.bring()
    assert _names(bucket) == there
    (later / "config.json").write_text("another")
    done = _writes(monkeypatch)
    mirror.bring()
    assert done[0] == "-checkpoints/10/SHA256SUMS"
    assert done[-2:] == ["-config.json", "config.json"]
    assert _names(bucket) == ["config.json"]


def test_in_the_background(bucket, local, monkeypatch, memory_buckets):
    monkeypatch.setattr(mirrors, "_SECONDS", 0.01)
    lost = []
    mirror = Mirror(local, bucket, lease := Lease(bucket), on_lost=lost.append).__enter__()
    while not bucket.read("result.json"):
        pass
    Lease(bucket, own=lease.session)
    mirror._thread.join(10)
    (local / "late").write_text("")
    with pytest.raises(RunError, match="was taken"):
        mirror.__exit__(None, None, None)
    assert len(lost) == 1
    assert "was taken" in lost[0]
    assert bucket.read("late") is None


def test_a_bucket_that_is_away_for_a_while(bucket, local, memory_buckets):
    with Mirror(local, bucket, Lease(bucket)) as mirror:
        memory_buckets.failure = OSError("away")
        with pytest.raises(BucketError, match="away"):
            mirror.bring()
        memory_buckets.failure = None
    assert len(_names(bucket)) == 6
