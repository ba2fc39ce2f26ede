"""Files of sound and pictures, opened by FFmpeg for what they hold and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer

# FFmpeg goes by content: a list of addresses called x.mp4 would have it read those.
_FORMATS = (
    "aac,aiff,asf,avi,flac,flv,live_flv,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,"
    "mpegvideo,ogg,wav,w64"
)


def open_media(path: Path) -> InputContainer:
    """A container of tracks, to be closed.

    Args:
      path: AVI, FLV, MP4, Matroska, MPEG, Ogg, WAV and their kin.

    Raises:
      av.FFmpegError: it is damaged, or of another kind.
    """
    import av

    # An absolute path has no protocol before it.
    return av.open(
        os.path.abspath(path), options={"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    )
