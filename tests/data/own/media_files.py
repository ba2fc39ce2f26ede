"""A folder with a table of captions, and paths of pictures, sounds, films and arrays."""

import wave

import numpy as np

from tests.data.own.small_files import write_csv


def write_media(folder, rows=12, kinds=("caption", "photo", "sound", "trace")):
    """Writes ``clips.csv`` and the files of these columns; returns the columns."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    draws = np.random.default_rng(0)
    columns = {"species": ["ash", "elm"] * (rows // 2)}
    if "caption" in kinds:
        species = enumerate(columns["species"])
        columns["caption"] = [f"a {word} seen on day {row}" for row, word in species]
    endings = {"photo": "png", "sound": "wav", "trace": "npy"}
    for name in (name for name in endings if name in kinds):
        columns[name] = [f"{name}_{row}.{endings[name]}" for row in range(rows)]
    for row in range(rows):
        if "photo" in kinds:
            pixels = draws.integers(0, 256, (10 + row, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / columns["photo"][row])
        if "sound" in kinds:
            with wave.open(str(folder / columns["sound"][row]), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(draws.integers(-999, 999, 4000, dtype=np.int16).tobytes())
        if "trace" in kinds:
            np.save(folder / columns["trace"][row], draws.normal(size=(3 + row % 3, 2)))
    write_csv(folder / "clips.csv", columns)
    return columns
