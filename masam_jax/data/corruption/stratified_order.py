"""An order of rows whose every beginning is a stratified random draw."""

from __future__ import annotations

import numpy as np

from masam_jax.data.permutation import seeded_permutation


def stratified_order(
    labels: np.ndarray, rows: np.ndarray, seed: int, *key: int, every_class_first: bool = False
) -> np.ndarray:
    """Rows in a random order of which the first k are a stratified draw of k rows, for any k.

    Draws of different sizes are thereby nested. Largest remainders, the rule of a split, cannot
    give that: one row more in all may mean one less of some class (the Alabama paradox). Here row
    number r of a class of n rows (r = 0, 1, ... in the order of ``seeded_permutation``) has place
    ``(r + 1/2) / n``, and all rows are sorted by it: Sainte-Laguë's divisor method. Rows at the
    same place, as classes of one size have them, come in the random order.

    Args:
      labels: integer classes ``[N]``.
      rows: int32 ``[n]``, sorted.
      seed: integer >= 0.
      *key: integers >= 0 that tell this use of the seed from others.
      every_class_first: begin with one row of each class.

    Returns:
      The rows, int32 ``[n]``.

    Source: Sainte-Laguë, "La représentation proportionnelle et la méthode des moindres carrés",
      1910; Balinski and Young, "Fair Representation", 1982.
    """
    shuffled = rows[seeded_permutation(len(rows), seed, *key)]
    place = np.empty(len(rows), np.float64)
    for label in np.unique(labels[rows]):
        members = labels[shuffled] == label
        count = np.count_nonzero(members)
        place[members] = (np.arange(count) + 0.5) / count
        if every_class_first:
            place[np.argmax(members)] = 0.0
    return shuffled[np.argsort(place, kind="stable")]
