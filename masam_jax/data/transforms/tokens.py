"""Text as integer tokens: BERT's word pieces, or words counted in the training texts."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PADDING, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL_TOKENS = (PADDING, UNKNOWN, FIRST, LAST)
"""The first tokens of a vocabulary that `count_words` makes, in this order."""


class Tokenizer:
    """Text to tokens: ``[CLS]``, the text's own, ``[SEP]``.

    Text is cleaned and cut as uncased BERT does: control characters go, letters are made small and
    lose their accents, words end at spaces and around each punctuation mark and each Chinese
    character. With ``pieces`` a word is then cut, from its start, into the longest pieces that the
    vocabulary has (those within a word begin with ``##``); a word that cannot be cut, has more than
    100 characters, or, without ``pieces``, is not in the vocabulary, is ``[UNK]``.

    Args:
      vocabulary: all tokens, in the order of their numbers, with `SPECIAL_TOKENS` among them.
      pieces: whether words are cut into pieces.

    Raises:
      ValueError: a token is twice in the vocabulary, or a special token is not in it.
      ModuleNotFoundError: the package ``tokenizers`` is not installed.

    References:
      Devlin et al., BERT, 2019; Wu et al., Google's Neural Machine Translation System, 2016.
    """

    def __init__(self, vocabulary: Sequence[str], *, pieces: bool):
        from tokenizers import models

        numbers = {token: number for number, token in enumerate(vocabulary)}
        if len(numbers) != len(vocabulary):
            repeated = next(t for t, n in collections.Counter(vocabulary).items() if n > 1)
            raise ValueError(f"the vocabulary has {repeated!r} twice; tokens must differ.")
        absent = [token for token in SPECIAL_TOKENS if token not in numbers]
        if absent:
            raise ValueError(f"the vocabulary lacks {absent}; it must hold {SPECIAL_TOKENS}.")
        self._first, self._last = numbers[FIRST], numbers[LAST]
        if pieces:
            self._model: Any = models.WordPiece(
                numbers, unk_token=UNKNOWN, max_input_chars_per_word=100
            )
        else:
            self._model = models.WordLevel(numbers, unk_token=UNKNOWN)

    def __call__(self, text: str) -> list[int]:
        """Tokens of a text, at least two."""
        tokens = [piece.id for word in split_words(text) for piece in self._model.tokenize(word)]
        return [self._first, *tokens, self._last]


def split_words(text: str) -> list[str]:
    """Words and punctuation marks of a text, cleaned, as uncased BERT cuts them.

    Examples:
      >>> split_words("Crème brûlée, (easy)")
      ['creme', 'brulee', ',', '(', 'easy', ')']
    """
    cleaner, cutter = _cleaner_and_cutter()
    return [word for word, _ in cutter.pre_tokenize_str(cleaner.normalize_str(text))]


def count_words(texts: Iterable[str], size: int) -> tuple[str, ...]:
    """The vocabulary of the most frequent words: `SPECIAL_TOKENS`, then words by falling count.

    Words that are equally frequent are in the order of their code points, so that the vocabulary is
    a function of the texts, whatever their order.

    Args:
      texts: of the training samples alone.
      size: most tokens, the special ones among them; at least 5.

    Raises:
      ValueError: the size leaves no word.
    """
    if size <= len(SPECIAL_TOKENS):
        raise ValueError(f"the size of a vocabulary is {size}; it must be at least 5.")
    counts = collections.Counter(word for text in texts for word in split_words(text))
    for token in SPECIAL_TOKENS:
        counts.pop(token, None)
    order = sorted(counts, key=lambda word: (-counts[word], word))
    return SPECIAL_TOKENS + tuple(order[: size - len(SPECIAL_TOKENS)])


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """The tokens of BERT's ``vocab.txt``: one a line, the first has number 0.

    Raises:
      ValueError: the file cannot be read as UTF-8.
    """
    try:
        # Not `splitlines`: some tokens are characters that it would take for the end of a line.
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a list of tokens: {error}") from error
    if lines[-1] == "":
        lines.pop()
    return tuple(line.removesuffix("\r") for line in lines)


def pad_tokens(tokens: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """The first tokens of a text, and zeros after its end.

    Args:
      tokens: integers ``[n]``.
      length: L.

    Returns:
      ``{"tokens": int32 [L], "mask": bool [L]}``, with True at the text's own tokens.
    """
    kept = np.asarray(tokens)[:length]
    padded = np.zeros(length, np.int32)
    padded[: len(kept)] = kept
    return {"tokens": padded, "mask": np.arange(length) < len(kept)}


@functools.cache
def _cleaner_and_cutter() -> tuple[Any, Any]:
    from tokenizers import normalizers, pre_tokenizers

    cleaner = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
    )
    return cleaner, pre_tokenizers.BertPreTokenizer()
