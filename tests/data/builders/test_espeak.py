import ctypes.util
import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from masam_jax.data.builders.espeak import Speaker


def _say(speaker, text="seven", voice="en-US+f3", speed=160, pitch=50, **settings):
    waveform, rate = speaker.say(text, voice, speed=speed, pitch=pitch, **settings)
    assert rate == 22050
    assert waveform.dtype == np.int16
    return waveform


def _lowest_period(waveform):
    """Of a voice, in samples, by the highest peak of the autocorrelation."""
    middle = len(waveform) // 3
    part = waveform[middle : middle + 2048].astype(np.float64)
    correlation = np.correlate(part, part, "full")[len(part) - 1 :]
    return 60 + int(correlation[60:400].argmax())


def test_a_word_is_the_same_whatever_was_said_before():
    speaker = Speaker()
    first = _say(speaker)
    for text, voice in (("one", "en-GB-scotland+m1"), ("six", "en+f5"), ("nine", "en-US+m7")):
        _say(speaker, text, voice)
        np.testing.assert_array_equal(_say(speaker), first)
    np.testing.assert_array_equal(_say(Speaker()), first)


def test_a_word_is_the_same_in_another_second_and_process():
    # espeak-ng would seed itself from the clock, in whole seconds.
    program = (
        "import hashlib; from masam_jax.data.builders.espeak import Speaker;"
        "said, _ = Speaker().say('seven', 'en-US+f3', speed=160, pitch=50);"
        "print(hashlib.sha256(said.tobytes()).hexdigest())"
    )
    first = _say(Speaker())
    time.sleep(1.05)
    np.testing.assert_array_equal(_say(Speaker()), first)
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == hashlib.sha256(first.tobytes()).hexdigest()


def test_threads_hear_what_one_hears():
    speaker = Speaker()
    words = ["zero", "one", "two", "three"] * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda word: _say(speaker, word), words))
    for word, found in zip(words, together, strict=True):
        np.testing.assert_array_equal(found, _say(speaker, word))


def test_settings_are_heard():
    speaker = Speaker()
    assert len(_say(speaker, speed=220)) < 0.8 * len(_say(speaker, speed=140))
    low, high = (_say(speaker, "one", pitch=pitch, pitch_range=0) for pitch in (20, 80))
    assert _lowest_period(high) < 0.8 * _lowest_period(low)
    assert not np.array_equal(_say(speaker, voice="en-US+m1"), _say(speaker, voice="en-029+m1"))
    assert speaker.version[0].isdigit()


def test_a_voice_that_is_not_there_is_refused():
    speaker = Speaker()
    with pytest.raises(ValueError, match="voice is 'xx'; espeak-ng has no voice"):
        _say(speaker, voice="xx")
    assert len(_say(speaker)) > 0


def test_without_espeak_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(ValueError, match=r"'\.\[data\]'.* apt-get install espeak-ng"):
        Speaker()


def test_a_release_that_cannot_be_seeded_is_refused(monkeypatch):
    class Old:
        """Has what an early release has."""

        def __init__(self, path):
            pass

        def espeak_Initialize(self, *arguments):
            return 22050

    monkeypatch.setattr(ctypes, "CDLL", Old)
    with pytest.raises(ValueError, match=r"too old to be seeded; 1\.52\.0 can be\. Install it"):
        Speaker()


def test_a_library_that_cannot_be_loaded_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"no library")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: str(broken))
    with pytest.raises(ValueError, match=r"cannot be used: .*libespeak-ng\.so.*apt-get"):
        Speaker()
