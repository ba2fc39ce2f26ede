"""Arrays of Python's objects, which are not read: what they should have been."""

from __future__ import annotations

import io

import numpy as np


def instead_of_objects(name: str, content: bytes) -> str:
    """What is wrong with an array of objects, and what is accepted instead.

    Args:
      name: of the array.
      content: of its ``.npy`` file; no code of its choice runs.

    Returns:
      A sentence without its end: of rows of different lengths the first that differs.
    """
    shapes = _shapes_of_rows(content)
    odd = next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        mask = f"mask_{name.removeprefix('x_')}"
        return (
            f"holds rows of different shapes: row 0 has {shapes[0]}, and row {odd} {shapes[odd]};"
            f" pad them to one length, [N, T, D], and give {mask} [N, T], True up to a row's end"
        )
    if shapes:
        return "holds Python's objects; numpy.stack(values) makes numbers of rows of one shape"
    return (
        "holds Python's objects; numbers or text are accepted: numpy.array(values, dtype=str) makes"
        " text"
    )


def _shapes_of_rows(content: bytes) -> list[tuple[int, ...]]:
    """Of arrays and lists; of lists their lengths alone. Empty where there are other objects."""
    from masam_jax.data.builders.array_unpickler import parse_arrays

    stream = io.BytesIO(content)
    try:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        rows = list(parse_arrays(content[stream.tell() :]))
    # Files that are damaged, or hold anything else, end in any error.
    except Exception:
        return []
    if not all(isinstance(row, np.ndarray | list | tuple) for row in rows):
        return []
    return [row.shape if isinstance(row, np.ndarray) else (len(row),) for row in rows]
