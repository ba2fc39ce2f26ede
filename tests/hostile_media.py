"""Images, sounds and a clip, with headers of one's choice."""

import struct
import zlib
from pathlib import Path

import av
import numpy as np


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return len(content).to_bytes(4, "big") + name + content + check.to_bytes(4, "big")


def png(width: int, height: int) -> bytes:
    """A PNG file whose header says so, and which has one row."""
    header = struct.pack(">IIBBBBB", width & 0x7FFFFFFF, height & 0x7FFFFFFF, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(min(width, 1 << 20) + 1))
    parts = ((b"IHDR", header), (b"IDAT", row), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def gif(width: int, height: int) -> bytes:
    """A GIF file whose header says so, and which has no picture."""
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + size + b"\0\x02\x01\0\0;"


def bmp(width: int, height: int) -> bytes:
    """A BMP file whose header says so, and which has no row."""
    header = struct.pack("<IiiHHIIiiII", 40, width & 0x7FFFFFFF, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def wav(frames: int, rate: int, channels: int) -> bytes:
    """A WAV file of 16 bits whose header says so, and which has at most four samples."""
    size = frames * 2 * channels & 0xFFFFFFFF
    block = 2 * channels & 0xFFFF
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block, 16)
    parts = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size)
    content = parts + bytes(min(frames, 4) * 2 * min(channels, 2))
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WAVE" + content


def flac(samples: int) -> bytes:
    """A FLAC file whose header says so, and which has no sample."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6)
    info += (16_000 << 44 | 0 << 41 | 15 << 36 | samples).to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info


def stored_clip(place: Path) -> bytes:
    """A short video without sound."""
    path = place / "whole.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for number in range(8):
            picture = np.full((16, 32, 3), 25 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    path.unlink()
    return content
