"""AV digits has no source; a directory that says so."""

from pathlib import Path

from masam_jax.data.builders.av_digits import AvDigitsOptions


def make_source(directory: Path) -> None:
    """A directory with one file, which nothing reads."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "README").write_text("Nothing is needed here.\n")


def small_options() -> AvDigitsOptions:
    """40 digits, 28 train, 4 validation, 8 test, softly disturbed."""
    return AvDigitsOptions(snr_db=20.0, samples=40)
