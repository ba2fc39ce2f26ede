"""What a build under way needs to know."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from masam_jax.data.builders.source import Listing

OnSample = Callable[[int, int], None]
"""Told how many samples are done, of how many."""


@dataclasses.dataclass
class BuildJob:
    """One build.

    Attributes:
      listing: what is built.
      strict: whether a damaged sample ends it.
      threads: that encode.
      progress: told of every sample; None for nobody.
      cache: where encoded samples are kept until it ends.
      done: samples so far.
    """

    listing: Listing
    strict: bool
    threads: int
    progress: OnSample | None
    cache: Path
    done: int = 0

    def advance(self) -> None:
        """A sample is done."""
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, len(self.listing.records))
