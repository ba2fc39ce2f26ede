"""One-hundred plant species leaves: species seen through three sets of features."""

from __future__ import annotations

import numpy as np

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.shipped_file import read_shipped

_SHA256 = "e8047ff45f6ba65fc10453242b0d37f9516b1683818b52d78a1a06659e516de8"
_VIEWS = ("view1", "view2", "view3")


def load_leaves100() -> MultimodalData:
    """The leaves of a hundred plant species, which ship inside the package.

    1600 leaves, 16 of each species, three modalities of float32 vectors ``[1600, 64]``: shape,
    margin and texture; which of ``view1``, ``view2`` and ``view3`` is which is not recorded. One of
    them is weak alone, and all together are worth a lot more than the best.

    Raises:
      ValueError: when the file in the installed package is missing or is not the published one.

    References:
      Charles Mallah, James Cope, James Orwell. Plant Leaf Classification Using Probabilistic
      Integration of Shape, Texture and Margin Features. 2013. UCI Machine Learning Repository, CC
      BY 4.0; provenance in ``masam_jax/data/files/README.md``.
    """
    archive = read_shipped("leaves100", _SHA256)
    features = {view: archive[f"x_{view}"] for view in _VIEWS}
    return MultimodalData("leaves100", features, archive["label"].astype(np.int32), 100)
