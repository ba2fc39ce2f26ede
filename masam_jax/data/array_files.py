"""NumPy's files, read within bounds: a file cannot ask for more memory than it holds bytes."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from pathlib import Path

import numpy as np


def read_npy(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, of numbers or text, read-only.

    ``numpy.load`` makes room for what the header says before it looks at what follows.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is damaged, holds objects, or its header names another size than it has.
    """
    try:
        return parse_npy(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no whole .npy file: {error}") from error


def parse_npy(content: bytes) -> np.ndarray:
    """`read_npy` of the file's content.

    Raises:
      ValueError: as there, without the file's name.
    """
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            # Of headers that Python 2 wrote.
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = _header(stream)
    # Headers are Python's literals: each wrong byte has its own kind of error.
    except (Exception, MemoryError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from error
    if dtype.hasobject:
        raise ValueError(f"its dtype is {dtype}; numbers or text are accepted")
    if not all(type(side) is int and 0 <= side < 2**48 for side in shape):
        raise ValueError(f"its shape is {shape}")
    wanted, found = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if wanted != found:
        raise ValueError(
            f"its header says {dtype} {list(shape)}, {wanted} bytes, and {found} follow"
        )
    if not wanted:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def parse_npz(content: bytes) -> dict[str, np.ndarray]:
    """All arrays of an uncompressed ``.npz`` file, by name, read-only.

    Raises:
      ValueError: it is damaged, holds anything else, or one array twice.
    """
    arrays: dict[str, np.ndarray] = {}
    left = len(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                # An archive may have many names for the same bytes.
                left -= member.file_size
                name = member.filename.removesuffix(".npy")
                if member.compress_type != zipfile.ZIP_STORED or left < 0 or name in arrays:
                    raise ValueError(f"{member.filename!r} is compressed, too large or there twice")
                arrays[name] = parse_npy(archive.read(member))
    except ValueError:
        raise
    # zipfile raises nine kinds of errors, by where the first wrong byte is.
    except Exception as error:
        raise ValueError(f"it is no whole archive: {error or type(error).__name__}") from error
    return arrays


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version}")
