"""TFDS's advice to install OpenCV, which nothing here needs, kept from the user."""

import logging


def ignore_advice() -> None:
    """Drops that one warning from the log; all others stay."""
    logger = logging.getLogger("absl")
    if _is_no_advice not in logger.filters:
        logger.addFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "OpenCV is not installed" not in record.getMessage()
