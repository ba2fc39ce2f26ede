"""SHA-256 of every file of a folder: written when it is whole, checked before it is believed."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from masam_jax.training.storage.atomic_files import write_text

# Lines as `sha256sum` writes and checks them, after one with the digest of all others.
DIGESTS_FILE = "SHA256SUMS"
_HEADING = "# sha256 of the lines below: "
# Hashing and reading both leave the interpreter's lock alone.
_THREADS = 4


def write_digests(folder: Path) -> None:
    """Brings every file of a folder to the disk, and writes ``SHA256SUMS`` beside them.

    Files are read in pieces, whatever their size.

    Raises:
      OSError: a file cannot be read, or the list not written.
    """
    names = _files(folder)
    for name in names:
        # The rename that follows may not claim more than a loss of power leaves behind.
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    lines = "".join(
        f"{digest}  {name}\n" for name, digest in zip(names, _digests(folder, names), strict=True)
    )
    write_text(folder / DIGESTS_FILE, f"{_HEADING}{_sha256(lines)}\n{lines}")


def find_damage(folder: Path) -> str | None:
    """The first file that is not as `write_digests` found it, and why; None where all are.

    Files that came later are no damage.

    Raises:
      OSError: a file is there, and cannot be read.
    """
    try:
        text = (folder / DIGESTS_FILE).read_bytes().decode()
    except FileNotFoundError:
        return f"{DIGESTS_FILE} is missing"
    except UnicodeDecodeError:
        return f"{DIGESTS_FILE} was changed"
    heading, _, lines = text.partition("\n")
    if heading != f"{_HEADING}{_sha256(lines)}":
        return f"{DIGESTS_FILE} was changed"
    saved = dict(line.split("  ", 1)[::-1] for line in lines.splitlines())
    for name in saved:
        if not (folder / name).is_file():
            return f"{name} is missing"
    for name, digest in zip(saved, _digests(folder, list(saved)), strict=True):
        if digest != saved[name]:
            return f"{name} was changed: its SHA-256 is not the one in {DIGESTS_FILE}"
    return None


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != DIGESTS_FILE
    )


def _digests(folder: Path, names: list[str]) -> list[str]:
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda name: _digest(folder / name), names))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
