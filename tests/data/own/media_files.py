"""A folder with a table of captions, and paths of pictures, sounds, films and arrays."""

import wave

import numpy as np

from tests.data.own.small_files import write_csv


def write_media(folder, rows=12):
    """Writes ``clips.csv`` and its files; returns the columns."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    draws = np.random.default_rng(0)
    columns = {"species": ["ash", "elm"] * (rows // 2)}
    columns["caption"] = [f"a {word} seen on day {n}" for n, word in enumerate(columns["species"])]
    for name, ending in (("photo", "png"), ("sound", "wav"), ("trace", "npy")):
        columns[name] = [f"{name}_{row}.{ending}" for row in range(rows)]
    for row in range(rows):
        pixels = draws.integers(0, 256, (10 + row, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / columns["photo"][row])
        with wave.open(str(folder / columns["sound"][row]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(draws.integers(-999, 999, 4000, dtype=np.int16).tobytes())
        np.save(folder / columns["trace"][row], draws.normal(size=(3 + row % 3, 2)))
    write_csv(folder / "clips.csv", columns)
    return columns
