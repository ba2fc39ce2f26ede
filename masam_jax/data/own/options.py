"""What follows the place of data of one's own: which columns are what, and how rows are split."""

from __future__ import annotations

import dataclasses
from typing import Literal

from masam_jax.core.specs import Options, option


@dataclasses.dataclass(frozen=True)
class OwnOptions(Options):
    """Options of data of your own; they come before what ``dataset.toml`` says.

    Attributes:
      label: column of the classes; several with / between them are labels of zero or one.
      task: regression where label has numbers to estimate; classification where nothing is given.
      split: column that names the part of each row; random draws parts although there is one.
      group: column that says whose row it is, such as a patient; no group is in two parts.
      key: column that names the rows.
      test: share of the rows to test on, or, from 1, their number; 0.2 where nothing is given.
      validation: likewise to validate on; 0.1 where nothing is given.
      folds: number of folds, of which one is tested on.
      fold: which fold, from 0; of a split column that numbers them, too.
    """

    label: str | None = None
    task: Literal["classification", "regression"] | None = None
    split: str | None = None
    group: str | None = None
    key: str | None = None
    test: float | None = option(None, "(0, inf)")
    validation: float | None = option(None, "(0, inf)")
    folds: int | None = option(None, "[2, inf)")
    fold: int | None = option(None, "[0, inf)")

    def __post_init__(self) -> None:
        """Checks every option, and those that exclude each other.

        Raises:
          ValueError: a value is not accepted, a number of rows is no whole number, or both ``test``
            and ``folds`` are given.
        """
        super().__post_init__()
        for name in ("test", "validation"):
            size = getattr(self, name)
            if size is not None and size > 1 and size != int(size):
                raise ValueError(
                    f"{name}={size:g}: a share below 1, or a whole number of rows, is accepted"
                )
        if self.test is not None and self.folds is not None:
            raise ValueError(
                f"test={self.test:g} and folds={self.folds} exclude each other; leave one of them"
                " out"
            )
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise ValueError(
                f"fold={self.fold} is out of range: expected an integer in 0..{self.folds - 1}"
            )
