"""A tiny CREMA-D, as the release unpacks, with the lists of the OGM-GE release."""

from pathlib import Path

import numpy as np

from tests.data.builders.video_files import tone, write_video

CODES = ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
ACTORS = (1001, 1002, 1010, 1015)
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
RATE = 16000
COLOURS = [(200, 60, 40), (40, 180, 60), (40, 60, 200)]


def clip_names(count: int) -> list[str]:
    """Each emotion, actor and sentence in turn."""
    return [
        f"{ACTORS[(i // len(CODES)) % len(ACTORS)]}_{SENTENCES[i // 24]}_{CODES[i % len(CODES)]}_XX"
        for i in range(count)
    ]


def sound(number: int, seconds: float) -> np.ndarray:
    """What is heard in a clip: a tone of 300 Hz and more, by emotion."""
    return tone(300.0 + 200.0 * (number % len(CODES)), seconds, RATE)


def make_source(
    directory: Path,
    *,
    train: int = 24,
    test: int = 8,
    seconds: float = 2.3,
    lists: bool = True,
    size: tuple[int, int] = (48, 64),
) -> None:
    """``AudioWAV/``, ``VideoFlash/`` and, if asked for, ``train.csv`` and ``test.csv``."""
    import soundfile

    names = clip_names(train + test)
    (directory / "AudioWAV").mkdir(parents=True)
    for number, name in enumerate(names):
        wave = directory / "AudioWAV" / f"{name}.wav"
        soundfile.write(wave, sound(number, seconds), RATE, subtype="PCM_16")
        write_video(
            directory / "VideoFlash" / f"{name}.flv",
            codec="flv",
            colours=COLOURS[number % 3 :] + COLOURS[: number % 3],
            seconds=seconds,
            size=size,
        )
    if lists:
        for split, part in (("train", names[:train]), ("test", names[train:])):
            # A byte order mark and Windows line ends, as people's editors leave them.
            lines = [f"{name},{name.split('_')[2]}\r\n" for name in part]
            (directory / f"{split}.csv").write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode())
