"""One sample of one modality, drawn: images, frames, spectrograms, sequences, vectors, text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from masam_jax.analysis.palette import GRID, HIGHLIGHT, INK, MUTED
from masam_jax.data.modality import Modality
from masam_jax.data.sample_statistics import SampleStatistics

# Standard deviations at the ends of the colours, and of the axis of vectors.
_SPREAD = 3.0
_MOST_FRAMES = 4
_FRAME_GAP = 0.04  # of a frame's width
_TEXT_COLUMNS, _TEXT_LINES = 40, 7
_SPECIAL_WORDS = ("[PAD]", "[CLS]", "[SEP]")


class Scale:
    """What colours and axes of one modality stand for, in all its panels alike.

    Values that are standardised by feature are drawn so, by the samples that were read; pixels are
    drawn as they are, and anything else from its smallest to its largest value.

    Attributes:
      low: value at the lower end.
      high: value at the upper end.
    """

    def __init__(self, statistics: SampleStatistics) -> None:
        """Of a modality."""
        self._statistics = statistics
        self.standardised = (
            statistics.spec.kind in ("vector", "sequence")
            and statistics.spec.normalization.rule == "feature"
        )
        if self.standardised:
            self.low, self.high = -_SPREAD, _SPREAD
        elif statistics.spec.kind in ("vector", "sequence"):
            most = np.nanmax([abs(statistics.mean) + _SPREAD * statistics.std, 1e-12])
            self.low, self.high = -float(most), float(most)
        else:
            self.low, self.high = statistics.least, statistics.most

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values ``[..., D]`` as they are drawn."""
        if not self.standardised:
            return values
        std = self._statistics.column_std
        return (values - self._statistics.column_mean) / np.where(std > 0, std, 1.0)


def panel_aspect(spec: Modality) -> float | None:
    """Width over height of a panel that has to keep its shape; None for others."""
    if spec.kind == "image":
        return spec.shape[1] / spec.shape[0]
    if spec.kind == "frames":
        frames = len(_shown_frames(spec.shape[0]))
        return (frames + (frames - 1) * _FRAME_GAP) * spec.shape[2] / spec.shape[1]
    return None


def describe(statistics: SampleStatistics, scale: Scale) -> str:
    """A line or two on what the panels of a modality show."""
    spec = statistics.spec
    size = " × ".join(map(str, spec.shape))
    limits = f"{_number(scale.low)} to {_number(scale.high)}"
    if spec.kind == "vector":
        return f"{size} features\n{_unit(scale)}, axis {limits}"
    if spec.kind == "sequence":
        return f"{spec.shape[0]} steps (to the right) × {spec.shape[1]}, grey: none\n" + (
            f"{_unit(scale)}, blue to red {limits}"
        )
    if spec.kind == "tokens":
        return f"at most {size} tokens\nwords, or numbers without a vocabulary"
    if spec.kind == "spectrogram":
        return f"{spec.shape[0]} frequencies (upwards) × {spec.shape[1]} frames\ncolours {limits}"
    if spec.kind == "frames":
        shown = len(_shown_frames(spec.shape[0]))
        return f"{size}\n{shown} of {spec.shape[0]} frames" if shown < spec.shape[0] else size
    return f"{size}\nvalues {limits}"


def draw_panel(
    ax: Axes, sample: Any, statistics: SampleStatistics, scale: Scale, vocabulary: Sequence[str]
) -> None:
    """Draws a sample; where it lacks the modality, says so.

    Args:
      ax: where.
      sample: as its modality says; None where it is missing.
      statistics: of the modality, over the samples read.
      scale: made of them.
      vocabulary: words of tokens, by number; empty where they are not known.
    """
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_color(GRID)
    kind = statistics.spec.kind
    if sample is None:
        ax.set_facecolor("#f6f7f8")
        ax.text(0.5, 0.5, "missing", ha="center", va="center", color=MUTED, fontsize=9)
    elif kind == "vector":
        _draw_vector(ax, scale(sample), scale)
    elif kind == "sequence":
        _draw_sequence(ax, sample, scale)
    elif kind == "tokens":
        _draw_tokens(ax, sample, vocabulary)
    elif kind == "spectrogram":
        ax.imshow(
            sample[..., 0],
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=scale.low,
            vmax=scale.high,
        )
    elif kind == "frames":
        _draw_image(ax, _beside_each_other(sample), scale)
    else:
        _draw_image(ax, sample, scale)


def printable(text: str) -> str:
    """The text, with a square for each character that the plots' font lacks."""
    from matplotlib import font_manager, ft2font

    font = ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))
    known = font.get_charmap()
    return "".join(letter if ord(letter) in known or letter == "\n" else "□" for letter in text)


def _draw_image(ax: Axes, pixels: np.ndarray, scale: Scale) -> None:
    if pixels.shape[-1] == 3 and pixels.dtype == np.uint8:
        ax.imshow(pixels)
        return
    grey = pixels.astype(np.float64).mean(axis=-1)
    ax.imshow(grey, cmap="gray", vmin=scale.low, vmax=scale.high)


def _draw_vector(ax: Axes, values: np.ndarray, scale: Scale) -> None:
    clipped = np.clip(values, scale.low, scale.high)
    edges = np.arange(len(values) + 1)
    # As steps: hundreds of bars would be narrower than pixels, and some of them paler.
    ax.fill_between(edges, np.append(clipped, clipped[-1]), step="post", color=HIGHLIGHT, lw=0)
    ax.axhline(0, color=MUTED, lw=0.6)
    ax.set_xlim(0, len(values))
    ax.set_ylim(scale.low * 1.05, scale.high * 1.05)


def _draw_sequence(ax: Axes, sample: dict[str, np.ndarray], scale: Scale) -> None:
    real = sample["mask"][:, np.newaxis]
    values = np.ma.masked_where(
        np.broadcast_to(~real, sample["values"].shape), scale(sample["values"])
    )
    ax.set_facecolor("#d7dade")
    ax.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=scale.low,
        vmax=scale.high,
        # Averages of neighbouring columns would look paler than any of them.
        interpolation="nearest",
    )


def _draw_tokens(ax: Axes, sample: dict[str, np.ndarray], vocabulary: Sequence[str]) -> None:
    numbers = sample["tokens"][sample["mask"]].tolist()
    known = bool(vocabulary) and max(numbers, default=0) < len(vocabulary)
    words = [vocabulary[number] if known else str(number) for number in numbers]
    text = " ".join(word for word in words if word not in _SPECIAL_WORDS).replace(" ##", "")
    lines = textwrap.wrap(text, _TEXT_COLUMNS, max_lines=_TEXT_LINES, placeholder=" …") or [
        "(empty)"
    ]
    ax.text(
        0.04,
        0.92,
        printable("\n".join(lines)),
        ha="left",
        va="top",
        fontsize=8,
        color=INK,
        parse_math=False,
        transform=ax.transAxes,
    )


def _beside_each_other(frames: np.ndarray) -> np.ndarray:
    """Frames ``[T, H, W, C]`` as one picture, white between them."""
    chosen = frames[_shown_frames(len(frames))]
    height, width, channels = chosen.shape[1:]
    gap = np.full((height, max(1, round(width * _FRAME_GAP)), channels), 255, frames.dtype)
    parts = [part for frame in chosen for part in (frame, gap)][:-1]
    return np.concatenate(parts, axis=1)


def _shown_frames(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_FRAMES)).round().astype(int))


def _unit(scale: Scale) -> str:
    return "standard deviations" if scale.standardised else "values"


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
