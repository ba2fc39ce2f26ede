"""Two runs on one path of a bucket."""

import json
import time

import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets.bucket import Bucket
from masam_jax.training.storage.buckets.lease import LEASE, PATIENCE, Lease, read_lease


@pytest.fixture
def bucket(memory_buckets):
    return Bucket("gs://ours/run")


def test_one_at_a_time(bucket):
    lease = Lease(bucket)
    with pytest.raises(
        RunError, match=r"^gs://ours/run is in use by process \d+ on .*, it is free in \d+ s$"
    ):
        Lease(bucket)
    lease.renew()
    lease.release()
    assert Lease(bucket).session != lease.session


def test_a_session_that_was_killed(bucket):
    lease = Lease(bucket)
    on_its_machine = Lease(bucket, own=lease.session)
    content = read_lease(bucket)
    assert content["session"] == on_its_machine.session != lease.session
    bucket.write(LEASE, json.dumps({**content, "time": time.time() - PATIENCE - 1}).encode())
    elsewhere = Lease(bucket)
    assert read_lease(bucket)["session"] == elsewhere.session


def test_the_first_of_two_stops(bucket):
    first = Lease(bucket)
    Lease(bucket, own=first.session)
    for attempt in (first.renew, first.release):
        with pytest.raises(RunError, match="was taken by process"):
            attempt()


def test_who_is_busy_for_long_keeps_it(bucket, monkeypatch):
    lease = Lease(bucket)
    written = read_lease(bucket)
    lease.keep()
    assert read_lease(bucket) == written
    later = time.monotonic() + PATIENCE / 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    lease.keep()
    assert read_lease(bucket)["time"] > written["time"]


NO_TIME = b'{"session": "a", "time": "now"}'


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", NO_TIME])
def test_what_is_no_lease_is_none(bucket, content):
    bucket.write(LEASE, content)
    assert read_lease(bucket) == {}
    Lease(bucket)
