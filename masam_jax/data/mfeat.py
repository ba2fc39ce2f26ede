"""UCI Multiple Features: handwritten digits seen through six feature sets."""

from __future__ import annotations

import numpy as np

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.shipped_file import read_shipped

_SHA256 = "349c4791a7e1efa3e7fd7783a2512a501aa811f72022da58e3374c2259304d6b"
_VIEWS = ("fac", "fou", "kar", "mor", "pix", "zer")


def load_mfeat() -> MultimodalData:
    """The Multiple Features data set, which ships inside the package.

    2000 handwritten digits (ten classes of 200 rows, in order of class), six modalities of float32
    vectors: ``fac`` ``[2000, 216]`` profile correlations, ``fou`` ``[2000, 76]`` Fourier
    coefficients, ``kar`` ``[2000, 64]`` Karhunen-Loève coefficients, ``mor`` ``[2000, 6]``
    morphological features, ``pix`` ``[2000, 240]`` pixel averages, ``zer`` ``[2000, 47]`` Zernike
    moments. Values are the archive's own; standardise them from the training rows alone with
    `masam_jax.data.feature_statistics` and `masam_jax.data.standardize`.

    Raises:
      ValueError: when the file in the installed package is missing or is not the published one.

    References:
      Duin, R. (1998). Multiple Features. UCI Machine Learning Repository, DOI 10.24432/C5HC70.
      CC BY 4.0; provenance in ``masam_jax/data/files/README.md``.
    """
    archive = read_shipped("mfeat", _SHA256)
    features = {view: archive[view].astype(np.float32) for view in _VIEWS}
    return MultimodalData("mfeat", features, archive["label"].astype(np.int32), 10)
