"""Who writes into a path of a bucket: an object that is renewed, and runs out.

A bucket has no lock. Two who take a free path within the same second may both believe that it is
theirs, until the first of them renews: who then finds another's lease stops. Clocks of machines are
taken to agree within a minute.
"""

import json
import os
import platform
import time
import uuid
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets.bucket import Bucket

LEASE = ".lease"
# Seconds without a sign after which a path is free.
PATIENCE = 180.0


class Lease:
    """The right to write below a path, while it is renewed.

    Attributes:
      session: names this session, and no other.
    """

    def __init__(self, bucket: Bucket, own: str | None = None) -> None:
        """Takes the path.

        Args:
          bucket: the path.
          own: the session that ended on this machine, whatever its lease says.

        Raises:
          RunError: it is another's.
          BucketError: the lease cannot be read or written.
        """
        self._bucket = bucket
        self.session = uuid.uuid4().hex
        found = read_lease(bucket)
        age = time.time() - float(found.get("time", 0.0))
        if found and not found.get("released") and found["session"] != own and age < PATIENCE:
            raise RunError(
                f"{bucket.uri} is in use by process {found.get('process')} on"
                f" {found.get('machine')}; if that was killed, it is free in"
                f" {PATIENCE - age:.0f} s"
            )
        self._write()
        self._check()

    def keep(self) -> None:
        """Renews it if that is due: for whoever is busy for long.

        Raises:
          RunError, BucketError: as `renew`.
        """
        if time.monotonic() - self._written > PATIENCE / 4:
            self.renew()

    def renew(self) -> None:
        """Says that the session goes on.

        Raises:
          RunError: another session took the path.
          BucketError: the lease cannot be read or written.
        """
        self._check()
        self._write()

    def release(self) -> None:
        """Says that the session has ended.

        Raises:
          RunError, BucketError: as `renew`.
        """
        self._check()
        self._write(released=True)

    def _check(self) -> None:
        found = read_lease(self._bucket)
        if found.get("session") != self.session:
            raise RunError(
                f"{self._bucket.uri} was taken by process {found.get('process')} on"
                f" {found.get('machine')}; two runs need two paths"
            )

    def _write(self, released: bool = False) -> None:
        content = {
            "session": self.session,
            "machine": platform.node(),
            "process": os.getpid(),
            "time": time.time(),
            "released": released,
        }
        self._bucket.write(LEASE, json.dumps(content).encode())
        self._written = time.monotonic()


def read_lease(bucket: Bucket) -> dict[str, Any]:
    """The lease of a path; empty for none, or what is none.

    Raises:
      BucketError: it cannot be read.
    """
    try:
        found = json.loads(bucket.read(LEASE) or b"{}")
        is_lease = isinstance(found, dict) and "session" in found
        return found if is_lease and isinstance(found.get("time"), int | float) else {}
    except ValueError:
        return {}
