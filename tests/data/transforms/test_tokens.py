import unicodedata

import numpy as np
import pytest

from masam_jax.data.transforms.tokens import (
    SPECIAL_TOKENS,
    Tokenizer,
    count_words,
    pad_tokens,
    read_vocabulary,
    split_words,
)

_TEXTS = (
    "Apple Pie Recipe | Grandma's BEST apple pie!",
    "Crème brûlée, façon «maison»   – Ångström",
    "tiramisù\tau café\u200b & œufs \ufffd\x07",
    "寿司 sushi 日本 (巻き) $4.99 ~ 10-minute",
    "ASCII ^marks` <count> = punctuation + too",
    "",
    "x" * 101 + " " + "x" * 100,
)
_VOCABULARY = [
    "[PAD]",
    "[unused1]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "apple",
    "pie",
    "recipe",
    "|",
    "'",
    "s",
    "!",
    "best",
    "grand",
    "##ma",
    "creme",
    "bru",
    "##lee",
    ",",
    "x",
    "##x",
    "##xx",
    "##e",
    "##est",
    "b",
    "寿",
    "司",
    "sush",
    "##i",
    "sushi",
    "(",
    ")",
    "-",
    "10",
    "4",
    ".",
    "99",
    "$",
    "cafe",
    "tirami",
    "##su",
]


def _reference_words(text):
    """BERT's cleaning and cutting, written from its paper's release, character by character."""
    kept = []
    for character in text:
        code, kind = ord(character), unicodedata.category(character)
        if character in "\t\n\r" or kind == "Zs":
            kept.append(" ")
        elif code not in (0, 0xFFFD) and kind not in ("Cc", "Cf"):
            is_chinese = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF
            kept.append(f" {character} " if is_chinese else character)
    words = []
    for word in "".join(kept).lower().split():
        letters = [c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn"]
        part = ""
        for letter in letters:
            code = ord(letter)
            is_mark = unicodedata.category(letter).startswith("P") or (
                code < 128 and not letter.isalnum()
            )
            if is_mark:
                words += [part, letter]
                part = ""
            else:
                part += letter
        words.append(part)
    return [word for word in words if word]


def _reference_pieces(word, vocabulary):
    """The longest piece that fits, again and again."""
    if len(word) > 100:
        return ["[UNK]"]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            return ["[UNK]"]
    return pieces


@pytest.mark.parametrize("text", _TEXTS)
def test_words_are_cut_as_bert_does(text):
    assert split_words(text) == _reference_words(text)


@pytest.mark.parametrize("text", _TEXTS)
def test_word_pieces_are_the_longest_that_fit(text):
    pieces = [p for word in _reference_words(text) for p in _reference_pieces(word, _VOCABULARY)]
    expected = [_VOCABULARY.index(piece) for piece in ["[CLS]", *pieces, "[SEP]"]]
    assert Tokenizer(_VOCABULARY, pieces=True)(text) == expected


def test_pieces_by_hand():
    tokens = Tokenizer(_VOCABULARY, pieces=True)("Grandma's beest unknown")
    assert [_VOCABULARY[token] for token in tokens] == (
        ["[CLS]", "grand", "##ma", "'", "s", "b", "##e", "##est", "[UNK]", "[SEP]"]
    )


def test_words_that_are_not_in_the_vocabulary_are_unknown():
    vocabulary = (*SPECIAL_TOKENS, "apple", "pie")
    tokenize = Tokenizer(vocabulary, pieces=False)
    assert tokenize("Apple pies, APPLE pie") == [2, 4, 1, 1, 4, 5, 3]
    assert tokenize("") == [2, 3]
    assert tokenize("[PAD] [SEP]") == [2, *[1] * 6, 3]


def test_words_are_counted_in_any_order():
    texts = ["pie apple", "Apple tart", "pie a", "b"]
    vocabulary = count_words(texts, 7)
    assert vocabulary == (*SPECIAL_TOKENS, "apple", "pie", "a")
    assert count_words(texts[::-1], 7) == vocabulary
    assert count_words(texts, 100) == (*SPECIAL_TOKENS, "apple", "pie", "a", "b", "tart")
    with pytest.raises(ValueError, match="is 4; it must be at least 5"):
        count_words(texts, 4)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_vocabulary_file_has_a_token_a_line(tmp_path, end):
    # The line separator and the non-breaking space are characters of BERT's own file.
    tokens = ("[PAD]", "\u2028", "a\xa0", "\x85")
    path = tmp_path / "vocab.txt"
    path.write_bytes(((end or "\n").join(tokens) + end).encode())
    assert read_vocabulary(path) == tokens


def test_bad_vocabularies_are_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"vocab\.txt cannot be read"):
        read_vocabulary(path)
    with pytest.raises(ValueError, match="'a' twice"):
        Tokenizer((*SPECIAL_TOKENS, "a", "a"), pieces=True)
    with pytest.raises(ValueError, match=r"lacks \['\[SEP\]'\]"):
        Tokenizer(SPECIAL_TOKENS[:3], pieces=False)


def test_tokens_are_padded_and_cut():
    padded = pad_tokens(np.array([2, 7, 3]), 5)
    np.testing.assert_array_equal(padded["tokens"], np.array([2, 7, 3, 0, 0], np.int32))
    np.testing.assert_array_equal(padded["mask"], [True, True, True, False, False])
    assert padded["tokens"].dtype == np.int32
    assert padded["mask"].dtype == np.bool_
    cut = pad_tokens(np.array([2, 7, 3]), 2)
    np.testing.assert_array_equal(cut["tokens"], [2, 7])
    assert cut["mask"].all()
