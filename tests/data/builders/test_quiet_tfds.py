import logging

from masam_jax.data.builders.quiet_tfds import quiet_tfds


def test_no_advice_and_all_other_words():
    quiet_tfds()
    quiet_tfds()
    logger, told = logging.getLogger("absl"), []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    # Checkpoints set it higher, where they were imported before.
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        logger.warning("OpenCV is not installed. We recommend %s", "it")
        logger.warning("the disk is %s", "full")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert told == ["the disk is full"]
