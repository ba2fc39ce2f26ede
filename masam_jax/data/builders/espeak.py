"""Speech from espeak-ng, the same whatever was said before."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import threading
from typing import ClassVar

import numpy as np

from masam_jax.core.extras import install_extras

# Of ``espeak-ng/speak_lib.h``.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_POSITION_CHARACTER = 1
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_SUCCESS = 0

# Any would do, but for the sounds that were prepared with this one.
_SEED = 1

_SAMPLES = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

_MISSING = (
    "the speech synthesiser espeak-ng cannot be used: {reason}. Install it:"
    f" {install_extras('data')}; or apt-get install espeak-ng."
)


class Speaker:
    """espeak-ng, by its C library; may be shared by threads, one of which speaks at a time.

    By itself, the library says a word with other samples, and another number of them, each time: it
    seeds its random numbers from the clock, and its phases, which nothing in its interface sets
    back, go on from word to word in its static memory. So for every utterance it is loaded afresh,
    2 to 3 ms, and seeded with a constant. Another part of the program that keeps the same library
    loaded defeats that.

    Attributes:
      version: of espeak-ng; other releases speak otherwise.

    Raises:
      ValueError: espeak-ng is not installed, or is too old to be seeded; the message says how to
        install it.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._library, self._data = _find()
        # Found is not yet usable: a missing data directory shows here, not in the midst of a build.
        with self._lock:
            library, _ = _open(self._library, self._data)
            library.espeak_Info.restype = ctypes.c_char_p
            self.version: str = library.espeak_Info(None).decode().split()[0]
            _close(library)

    def say(
        self, text: str, voice: str, *, speed: int, pitch: int, pitch_range: int = 50
    ) -> tuple[np.ndarray, int]:
        """Speaks.

        Args:
          text: words of the voice's language.
          voice: a voice file's name and a variant, such as ``"en-US+f3"``; espeak-ng takes its
            default for a variant that it does not know, without a word.
          speed: words a minute, 80 to 450.
          pitch: 0 to 99, 50 being the voice's own.
          pitch_range: 0 to 99, 0 being monotonous, 50 the voice's own.

        Returns:
          the waveform, int16 ``[T]``, with the silence that espeak-ng puts around it, and its rate
          in Hz.

        Raises:
          ValueError: espeak-ng has no such voice, or does not take a number.
        """
        parts: list[bytes] = []

        def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, _: int | None) -> int:
            if samples and count > 0:
                parts.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
            return 0

        received = _SAMPLES(receive)
        content = text.encode()
        with self._lock:
            library, rate = _open(self._library, self._data)
            try:
                library.espeak_SetSynthCallback(received)
                if library.espeak_SetVoiceByName(voice.encode()) != _SUCCESS:
                    raise ValueError(f"voice is {voice!r}; espeak-ng has no voice of that name.")
                settings = {"speed": speed, "pitch": pitch, "pitch_range": pitch_range}
                for (name, value), code in zip(
                    settings.items(), (_RATE, _PITCH, _RANGE), strict=True
                ):
                    if library.espeak_SetParameter(code, value, 0) != _SUCCESS:
                        raise ValueError(f"{name} is {value}; espeak-ng does not take it.")
                size = ctypes.c_size_t(len(content) + 1)
                status = library.espeak_Synth(
                    ctypes.c_char_p(content), size, 0, _POSITION_CHARACTER, 0, _UTF8, None, None
                )
                if status != _SUCCESS:
                    raise ValueError(f"espeak-ng cannot say {text!r}: its status is {status}.")
                library.espeak_Synchronize()
            finally:
                _close(library)
        return np.frombuffer(b"".join(parts), np.int16), rate


def _find() -> tuple[str, str | None]:
    """The library's file, and its data where they are not at the library's own place."""
    try:
        import espeakng_loader
    except ModuleNotFoundError:
        system = ctypes.util.find_library("espeak-ng")
        if system is None:
            reason = "neither the package espeakng-loader nor the system's library is there"
            raise ValueError(_MISSING.format(reason=reason)) from None
        return system, None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _open(library: str, data: str | None) -> tuple[ctypes.CDLL, int]:
    try:
        opened = ctypes.CDLL(library)
    except OSError as error:
        raise ValueError(_MISSING.format(reason=error)) from error
    path = None if data is None else data.encode()
    rate = opened.espeak_Initialize(_SYNCHRONOUS, 0, path, _DO_NOT_EXIT)
    if rate <= 0:
        raise ValueError(_MISSING.format(reason=f"its data are not in {data or 'their place'}"))
    if not hasattr(opened, "espeak_ng_SetRandSeed"):
        raise ValueError(
            _MISSING.format(reason="this release is too old to be seeded; 1.52.0 can be")
        )
    opened.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
    return opened, rate


def _close(library: ctypes.CDLL) -> None:
    import _ctypes

    library.espeak_Terminate()
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)
