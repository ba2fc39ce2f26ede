"""TFDS without its progress bars, and without its advice to install OpenCV."""

from __future__ import annotations

import logging

from masam_jax.data.builders.tfds import tfds


def quiet_tfds() -> None:
    """Silences both, in this process."""
    tfds.disable_progress_bar()
    # Pillow decodes the images, which TFDS warns of once in every process.
    logging.getLogger("absl").addFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "OpenCV is not installed" not in record.getMessage()
