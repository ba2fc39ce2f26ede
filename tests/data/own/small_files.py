"""Small tables and arrays, as people have them."""

import csv

import numpy as np

WORDS = ("ash", "elm", "oak")


def small_columns(rows=60):
    """Column -> values: two groups of numbers, a class, a patient."""
    draws = np.random.default_rng(0)
    classes = np.arange(rows) % len(WORDS)
    shifted = {f"sensor_{i}": draws.normal(size=rows) + (classes == i) for i in range(3)}
    face = {f"face_{axis}": draws.normal(size=rows) for axis in "xy"}
    species = [WORDS[number] for number in classes]
    patients = [f"p{row // 4}" for row in range(rows)]
    return {**shifted, **face, "species": species, "patient": patients}


def write_csv(path, columns):
    """Writes columns as a table, None as nothing; returns the path."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def small_arrays(rows=60):
    """Arrays of an ``.npz`` file: sound, pictures and a class from 0 to 2."""
    draws = np.random.default_rng(1)
    return {
        "x_text": draws.normal(size=(rows, 4)).astype(np.float32),
        "x_picture": draws.integers(0, 256, (rows, 8, 8, 3), dtype=np.uint8),
        "label": (np.arange(rows) % 3).astype(np.uint8),
    }
