"""Some samples, on their way from the reader to the loss."""

from __future__ import annotations

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Samples of one seed, leaves ``[B, ...]``, or of every seed, ``[S, B, ...]``.

    Readers fill in the first two fields. Training adds rows and labels, leaves ``inputs`` empty
    where the device holds all rows, and ``present`` empty where no sample lacks a modality.

    Attributes:
      inputs: modality -> tree of arrays, zeros in rows without the modality: as the data give
        them, and standardised and corrupted once the network sees them.
      present: modality -> bool, whether the sample has it.
      labels: int32, classes, or zeros and ones ``[B, K]``; None where they are not known.
      rows: int32, row numbers; None likewise.
    """

    inputs: Any
    present: Any
    labels: Any = None
    rows: Any = None
