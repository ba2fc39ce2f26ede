import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.builders.food101 import Food101, Food101Options
from masam_jax.data.draws import Draws
from masam_jax.data.modality import check_sample
from masam_jax.data.transforms.image_augmentation import (
    horizontal_flip,
    random_resized_crop,
    resize,
)
from tests.data.builders.food101_source import (
    BERT_TOKENS,
    CLASSES,
    add_features,
    add_vocabulary,
    make_source,
    read_titles,
)


def _prepared(tmp_path, source, name="prepared", **options):
    options = Food101Options(**{"text": "tokens", **options})
    builder = Food101(data_dir=tmp_path / name, options=options)
    if not builder.is_prepared:
        builder.prepare(source)
    return builder


def _examples(builder):
    """Stored samples by name."""
    return {
        example["key"].decode(): example
        for split in ("train", "test")
        for example in builder.as_data_source(split=split)
    }


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Source, and data prepared from it with small images."""
    place = tmp_path_factory.mktemp("release")
    make_source(place / "source")
    return place, _prepared(place, place / "source", image_size=16, length=9)


def test_names_of_the_dishes():
    assert len(Food101.CLASS_NAMES) == 101
    assert list(Food101.CLASS_NAMES) == sorted(set(Food101.CLASS_NAMES))


def test_splits_and_labels_are_the_releases(release):
    place, builder = release
    index = builder.index
    expected = {
        f"{split}/{Path(name).stem}": (split, kind)
        for split in ("train", "test")
        for name, _, kind in read_titles(place / "source", split)
    }
    found = {
        key: (str(split), Food101.CLASS_NAMES[label])
        for key, split, label in zip(index.keys, index.splits, index.labels, strict=True)
    }
    assert found == expected
    assert {kind for _, kind in found.values()} == set(CLASSES)
    assert list(builder.provenance)[1:] == ["texts/train_titles.csv", "texts/test_titles.csv"]
    assert builder.damaged == {}
    split = builder.split(
        index, seed=0, split_seed=0, train_size=None, validation_size=6, test_size=None
    )
    assert [len(part) for part in split] == [18, 6, 8]
    assert np.bincount(index.labels[split.validation])[[0, 1, 100]].tolist() == [2, 2, 2]


def test_images_are_the_files_in_rgb(release):
    place, builder = release
    for key, example in _examples(builder).items():
        split, name = key.split("/")
        path = place / "source" / "images" / split / name.rpartition("_")[0] / f"{name}.jpg"
        with Image.open(path) as image:
            is_plain = (image.format, image.mode) == ("JPEG", "RGB")
            pixels = np.asarray(image.convert("RGBA").convert("RGB"), np.int32)
        assert example["image"].shape == pixels.shape
        # What is written anew loses a little; plain JPEG is kept byte for byte.
        most = 0 if is_plain else 12
        assert np.abs(example["image"].astype(np.int32) - pixels).max() <= most
    assert example["image"].dtype == np.uint8


def test_decoding_without_draws_is_the_test_transform(release):
    _, builder = release
    for example in _examples(builder).values():
        sample = builder.decode(example, None)
        for name, modality in builder.modalities.items():
            check_sample(name, modality, sample[name])
        expected = resize(example["image"], 16)
        np.testing.assert_array_equal(sample["image"], expected)
    assert Food101(data_dir=builder._data_dir_root).modalities["image"].shape == (224, 224, 3)


def test_augmentation_is_a_function_of_its_draws(release):
    _, builder = release
    example = next(iter(_examples(builder).values()))
    found = [builder.decode(example, Draws(seed, 5))["image"] for seed in range(8)]
    for seed, image in enumerate(found):
        draws = Draws(seed, 5)
        expected = horizontal_flip(random_resized_crop(example["image"], 16, draws), draws)
        np.testing.assert_array_equal(image, expected)
    assert len({image.tobytes() for image in found}) > 4
    augmented = builder.decode(example, Draws(0))["text"]["tokens"]
    np.testing.assert_array_equal(augmented, builder.decode(example, None)["text"]["tokens"])


def test_words_are_counted_in_training_titles_alone(release, tmp_path):
    place, builder = release
    source = tmp_path / "source"
    shutil.copytree(place / "source", source)
    tokens = builder._metadata()["vocabulary"]["tokens"]
    assert tokens[:4] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    # "no" is in each of 24 titles, the next four are found 16 times: by code point.
    assert tokens[4:9] == ["no", '"', "recipe", "the", "|"]
    assert {"0", "23", "creme", '"'} <= set(tokens)
    with (source / "texts/test_titles.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(("extra_1.jpg", "Unheard words, no pie", "waffles"))
    extra = source / "images/test/waffles"
    (extra / "extra_1.jpg").write_bytes((extra / "waffles_2.jpg").read_bytes())
    again = _prepared(tmp_path, source, image_size=16, length=9)
    assert again._metadata()["vocabulary"]["tokens"] == tokens
    found = again.decode(_examples(again)["test/extra_1"], None)["text"]
    number = tokens.index
    expected = [2, 1, 1, number(","), number("no"), number("pie"), 3, 0, 0]
    assert found["tokens"].tolist() == expected
    assert found["mask"].tolist() == [True] * 7 + [False] * 2
    new = again.tokenize("Unheard words, no pie")
    np.testing.assert_array_equal(new["tokens"], expected)
    assert "sha256" in again.provenance["rule"]


def test_titles_are_cut_to_length(release):
    place, builder = release
    example = _examples(builder)["train/apple_pie_3"]
    whole = example["tokens"].tolist()
    vocabulary = builder._metadata()["vocabulary"]["tokens"]
    words = " ".join(vocabulary[token] for token in whole)
    assert words == "[CLS] grandma ' s apple pie , the no 3 | recipe [SEP]"
    found = builder.decode(example, None)["text"]
    assert found["tokens"].tolist() == whole[:9]
    assert found["mask"].all()
    with pytest.raises(ValueError, match=r"vocabulary_size=4 is out of range: .* >= 5"):
        Food101Options(vocabulary_size=4)
    options = Food101Options(text="tokens", vocabulary_size=6)
    few = Food101(data_dir=place / "few", options=options)
    rows = few.listing(place / "source").records
    assert max(max(row.source["tokens"]) for row in rows) == 5
    # The numbers of a larger vocabulary are not taken for those of a smaller one.
    fewer = Food101(data_dir=builder._data_dir_root, options=Food101Options(vocabulary_size=6))
    with pytest.raises(ValueError, match="prepared with vocabulary_size=30522"):
        _ = fewer.index


def test_word_pieces_of_a_bert_vocabulary(tmp_path):
    make_source(tmp_path / "source")
    add_vocabulary(tmp_path / "source")
    builder = _prepared(tmp_path, tmp_path / "source", image_size=16, length=20)
    example = _examples(builder)["train/waffles_11"]
    pieces = [BERT_TOKENS[token] for token in example["tokens"]]
    assert pieces == ["[CLS]", "creme", "wa", "##ffles", "no", "[UNK]", "[SEP]"]
    assert "vocab.txt" in builder.provenance
    new = builder.tokenize("Pie")
    assert [BERT_TOKENS[t] for t in new["tokens"][new["mask"]]] == ["[CLS]", "pie", "[SEP]"]
    options = Food101Options(text="tokens", vocabulary_size=12)
    small = Food101(data_dir=tmp_path / "small", options=options)
    with pytest.raises(ValueError, match=r"titles\.csv:\d+: a token is .* must be greater"):
        small.prepare(tmp_path / "source")


def test_bert_features_are_a_sequence(tmp_path):
    source = tmp_path / "source"
    make_source(source)
    with pytest.raises(ValueError, match=r"text is 'bert', but .*features is no directory"):
        _prepared(tmp_path, source, text="bert")
    bare = _prepared(tmp_path, source, "bare")
    without = _prepared(tmp_path, source, "bare", text="bert")
    with pytest.raises(ValueError, match="prepared without features"):
        without.decode(next(iter(_examples(bare).values())), None)
    add_features(source)
    builder = _prepared(tmp_path, source, text="bert", length=4, image_size=16)
    assert builder.modalities["text"].kind == "sequence"
    for key, example in _examples(builder).items():
        features = np.load(source / "bert_features" / f"{key}.npy").astype(np.float32)[:4]
        sample = builder.decode(example, None)
        for name, modality in builder.modalities.items():
            check_sample(name, modality, sample[name])
        steps = len(features)
        np.testing.assert_array_equal(sample["text"]["values"][:steps], features)
        assert not sample["text"]["values"][steps:].any()
        assert sample["text"]["mask"].tolist() == [True] * steps + [False] * (4 - steps)
    # The tokens are there too: both variants share what was prepared.
    both = _prepared(tmp_path, source, image_size=16)
    assert both.decode(example, None)["text"]["tokens"][0] == 2


def test_preparing_twice_gives_the_same(tmp_path):
    make_source(tmp_path / "source", train=9, test=3)
    one, other = (_prepared(tmp_path, tmp_path / "source", name) for name in ("one", "other"))
    assert one.index_digest() == other.index_digest()
    left, right = _examples(one), _examples(other)
    for key, example in left.items():
        a, b = one.decode(example, Draws(1)), other.decode(right[key], Draws(1))
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["text"]["tokens"], b["text"]["tokens"])


def test_damaged_and_missing_images_are_left_out_and_counted(tmp_path):
    source = tmp_path / "source"
    make_source(source)
    add_features(source)
    folder = source / "images" / "train"
    cut = folder / "apple_pie" / "apple_pie_3.jpg"
    cut.write_bytes(cut.read_bytes()[:-40])
    (folder / "waffles" / "waffles_5.jpg").unlink()
    (folder / "waffles" / "waffles_8.jpg").write_text("<html>404</html>")
    (folder / "waffles" / "waffles_11.jpg").write_bytes(b"")
    np.save(source / "bert_features" / "train" / "waffles_14.npy", np.zeros((3, 767)))
    np.save(source / "bert_features" / "train" / "waffles_17.npy", np.full((3, 768), np.nan))
    (source / "bert_features" / "train" / "waffles_20.npy").unlink()
    builder = _prepared(tmp_path, source, damaged="left_out")
    stems = ("apple_pie_3", *(f"waffles_{n}" for n in (5, 8, 11, 14, 17, 20)))
    assert sorted(builder.damaged) == sorted(f"train/{stem}" for stem in stems)
    for key, why in builder.damaged.items():
        assert key.partition("/")[2] in why
    assert "truncated" in builder.damaged["train/apple_pie_3"]
    assert len(builder.index.keys) == 32 - 7
    # By default a grey image stands in for those that are there and cannot be decoded.
    grey = _prepared(tmp_path, source, "grey", image_size=16)
    undecodable = ("apple_pie_3", "waffles_8", "waffles_11")
    assert sorted(grey.replaced) == sorted(f"train/{stem}" for stem in undecodable)
    assert grey.lacking == {"image": frozenset(grey.replaced)}
    assert sorted(grey.damaged) == sorted(f"train/waffles_{n}" for n in (5, 14, 17, 20))
    found = grey.decode(_examples(grey)["train/waffles_8"], None)["image"]
    assert (found == 128).all()
    strict = Food101(data_dir=tmp_path / "strict")
    with pytest.raises(ValueError, match=r"train/apple_pie_3: .*apple_pie_3\.jpg: .*truncated"):
        strict.prepare(source, strict=True)


def test_images_that_are_all_damaged_are_refused(tmp_path):
    source = tmp_path / "source"
    make_source(source, train=4, test=3)
    for path in (source / "images" / "train").rglob("*.jpg"):
        path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"'train' has the modality 'image': 4 could not be read"):
        _prepared(tmp_path, source)


def test_options_are_checked():
    with pytest.raises(ValueError, match=r"text must be one of .'tokens', 'bert'., got 'glove'"):
        Food101Options(text="glove")
    with pytest.raises(ValueError, match="length=1 is out of range"):
        Food101Options(length=1)


def test_a_palette_in_the_fixture_has_transparency(tmp_path):
    # Else the conversion of such files would go untested.
    make_source(tmp_path)
    content = (tmp_path / "images/train/waffles/waffles_2.jpg").read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        assert isinstance(image.info["transparency"], bytes)
