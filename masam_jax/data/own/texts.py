"""Columns of text, as tokens."""

from __future__ import annotations

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.own.columns import Columns, is_text, missing
from masam_jax.data.own.recipe import Ingredients
from masam_jax.data.own.samples import Samples

_LONGEST, _VOCABULARY = 64, 5000
# Longest texts that are kept whole.
_PERCENTILE = 95


def make_text(columns: Columns, group: Ingredients) -> Samples:
    """Words as tokens, cut as uncased BERT cuts them, the most frequent of all texts known.

    Labels are not looked at. Texts are cut after ``length`` tokens, by default as many as 95 % of
    the texts have, at most 64; words beyond the ``vocabulary`` most frequent, 5000, are unknown, as
    are those that are not among its ``words``, where they are given.

    Raises:
      ValueError: a value is no text.
      ModuleNotFoundError: the package tokenizers is missing.
    """
    with needs("columns of text", "data"):
        import tokenizers  # noqa: F401

    from masam_jax.data.transforms.tokens import Tokenizer, count_words, pad_tokens

    (name,) = group.columns
    values = columns[name]
    if not is_text(values):
        row = next(row for row, value in enumerate(values) if not isinstance(value, str | None))
        raise ValueError(f"{columns.at(row, name)}: {str(values[row])[:40]!r} is no text")
    present = ~missing(values)
    texts = [str(value) for value in values[present]]
    if not texts:
        raise ValueError(f"{columns.named(name)}: no row has a text")
    known = group.settings.get("words")
    size = int(group.settings.get("vocabulary", _VOCABULARY))
    vocabulary = count_words(texts, size) if known is None else tuple(known)
    tokenize = Tokenizer(vocabulary, pieces=False)
    found = [np.array(tokenize(text)) for text in texts]
    usual = int(np.percentile([len(tokens) for tokens in found], _PERCENTILE, method="higher"))
    length = int(group.settings.get("length", min(_LONGEST, usual)))
    tokens = np.zeros((len(values), length), np.int32)
    mask = np.zeros((len(values), length), np.bool_)
    for row, each in zip(np.flatnonzero(present).tolist(), found, strict=True):
        cut = pad_tokens(each, length)
        tokens[row], mask[row] = cut["tokens"], cut["mask"]
    spec = Modality("tokens", (length,), np.int32, Normalization("none"), len(vocabulary))
    settled = {"length": length, "words": list(vocabulary)}
    return Samples({"tokens": tokens, "mask": mask}, spec, present, vocabulary, settled=settled)
