import json
from pathlib import Path

import numpy as np
import pytest

from masam_jax.data.builders.food101 import Food101, Food101Options
from masam_jax.data.builders.food101_titles import read_titles
from tests.data.builders.food101_source import make_json_source, make_source
from tests.data.builders.food101_source import read_titles as read_list


def _prepared(tmp_path, source, **options):
    options = Food101Options(**{"text": "tokens", **options})
    builder = Food101(data_dir=tmp_path / "prepared", options=options)
    builder.prepare(source)
    return builder


def _examples(builder):
    """Stored samples by name."""
    return {
        example["key"].decode(): example
        for split in ("train", "test")
        for example in builder.as_data_source(split=split)
    }


def test_json_lists_have_tokens(tmp_path):
    make_json_source(tmp_path / "source")
    builder = _prepared(tmp_path, tmp_path / "source", image_size=16, length=6)
    index = builder.index
    counts = [int((index.splits == s).sum()) for s in ("train", "validation", "test")]
    assert counts == [20, 4, 8]
    assert set(index.labels.tolist()) == {0, 1, 100}
    for key, label in zip(index.keys, index.labels, strict=True):
        assert key.partition("/")[2].rpartition("_")[0] == Food101.CLASS_NAMES[label]
    entries = json.loads((tmp_path / "source" / "test.json").read_text())
    examples = _examples(builder)
    for entry in entries:
        found = builder.decode(examples[f"test/{entry['id']}"], None)["text"]
        assert found["tokens"].tolist() == entry["text_tokens"]
        assert found["mask"].tolist() == [True] * 4 + [False] * 2
    with pytest.raises(ValueError, match="without a vocabulary"):
        builder.tokenize("pie")


def test_json_lines_have_titles(tmp_path):
    source = tmp_path / "source"
    make_json_source(source)
    for name in ("train", "dev", "test"):
        entries = json.loads((source / f"{name}.json").read_text())
        (source / f"{name}.json").unlink()
        lines = [
            json.dumps(
                {"id": e["id"], "img": e["img_path"], "text": f"{name} pie", "label": e["label"]}
            )
            for e in entries
        ]
        (source / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    builder = _prepared(tmp_path, source, image_size=16, length=6)
    assert builder._metadata()["vocabulary"]["tokens"][4:] == ["pie", "train"]
    tokens = {key: example["tokens"].tolist() for key, example in _examples(builder).items()}
    assert tokens["test/apple_pie_0"] == [2, 1, 4, 3]
    assert tokens["train/waffles_23"] == [2, 5, 4, 3]


def test_a_title_without_tokens_is_left_out(tmp_path):
    make_json_source(tmp_path / "source")
    path = tmp_path / "source" / "train.json"
    entries = json.loads(path.read_text())
    entries[0]["text_tokens"] = [0, 0]
    path.write_text(json.dumps(entries))
    builder = _prepared(tmp_path, tmp_path / "source")
    assert list(builder.damaged) == [f"train/{entries[0]['id']}"]


def test_a_line_of_column_names_is_passed_over(tmp_path):
    make_source(tmp_path / "source")
    path = tmp_path / "source" / "texts" / "test_titles.csv"
    path.write_bytes(b"\xef\xbb\xbfimage,title,class\n" + path.read_bytes())
    builder = Food101(data_dir=tmp_path / "d", options=Food101Options(text="tokens"))
    assert len(builder.listing(tmp_path / "source").records) == 32


def _as_preprocessed(source):
    """Lists as the widely used preprocessing writes them: words, val.json, features by id."""
    folder = source / "bert_features"
    for name, file in (("train", "train"), ("dev", "val"), ("test", "test")):
        entries = json.loads((source / f"{name}.json").read_text())
        (source / f"{name}.json").unlink()
        (folder / file).mkdir(parents=True)
        for number, entry in enumerate(entries):
            entry["id"] = f"{file}_{number:05d}"
            entry["text_tokens"] = ["olive oil", "Apple", "pie"] if number % 2 else ["salt"]
            entry["img_path"] = f"/home/someone/UPMC-Food101/{entry['img_path']}"
            features = np.full((2 + number % 3, 768), number, np.float32)
            np.save(folder / file / f"{entry['id']}.npy", features)
        (source / f"{file}.json").write_text(json.dumps(entries))


def test_words_absolute_paths_val_json_and_features_by_id(tmp_path):
    source = tmp_path / "source"
    make_json_source(source)
    _as_preprocessed(source)
    builder = _prepared(tmp_path, source, image_size=16, length=6, text="bert")
    assert builder.damaged == {}
    index = builder.index
    counts = [int((index.splits == s).sum()) for s in ("train", "validation", "test")]
    assert counts == [20, 4, 8]
    example = _examples(builder)["test/test_00003"]
    text = builder.decode(example, None)["text"]
    assert text["mask"].tolist() == [True] * 2 + [False] * 4
    assert (text["values"][:2] == 3).all()
    words = builder._metadata()["vocabulary"]["tokens"]
    assert [words[token] for token in example["tokens"]] == [
        *("[CLS]", "olive", "oil", "apple", "pie", "[SEP]")
    ]


@pytest.mark.parametrize("beside", ["lists", "images"])
def test_lists_in_a_folder_of_their_own(tmp_path, beside):
    """As in a release whose folder with lists, and features or not, lies beside the images."""
    source = tmp_path / "source"
    make_json_source(source)
    _as_preprocessed(source)
    folder = source / "cggm_json_with_bert"
    folder.mkdir()
    for name in ("train.json", "val.json", "test.json"):
        (source / name).rename(folder / name)
    if beside == "lists":
        (source / "bert_features").rename(folder / "bert_features")
    builder = _prepared(tmp_path, source, image_size=16, length=6, text="bert")
    assert builder.damaged == {}
    counts = [int((builder.index.splits == s).sum()) for s in ("train", "validation", "test")]
    assert counts == [20, 4, 8]
    assert "cggm_json_with_bert/val.json" in builder.provenance
    text = builder.decode(_examples(builder)["test/test_00003"], None)["text"]
    assert (text["values"][:2] == 3).all()
    (source / "other").mkdir()
    (source / "other" / "train.json").write_text("[]")
    with pytest.raises(ValueError, match="has lists in cggm_json_with_bert and other; move those"):
        _prepared(tmp_path, source)


def test_features_where_an_entry_says(tmp_path):
    source = tmp_path / "source"
    make_json_source(source)
    _as_preprocessed(source)
    entries = json.loads((source / "test.json").read_text())
    entries[3]["bert_feature_path"] = "bert_features/test/test_00004.npy"
    entries[5]["bert_feature_path"] = "test/test_00006.npy"
    (source / "test.json").write_text(json.dumps(entries))
    builder = _prepared(tmp_path, source, image_size=16, length=6, text="bert")
    for number, of in ((3, 4), (5, 6), (7, 7)):
        text = builder.decode(_examples(builder)[f"test/test_{number:05d}"], None)["text"]
        assert (text["values"][:2] == of).all()


def test_of_an_absolute_path_the_end_below_the_source_counts(tmp_path):
    source = tmp_path / "source"
    make_json_source(source)
    entries = json.loads((source / "test.json").read_text())
    for entry, start in zip(entries, ("/a/images/b/", "C:\\data\\", "/"), strict=False):
        entry["img_path"] = start + entry["img_path"]
    (source / "test.json").write_text(json.dumps(entries))
    assert _prepared(tmp_path, source).damaged == {}


TITLES = """pho_0.jpg,Plain pho,pho
pho_1.jpg,"Best pho,pho
pho_2.jpg,"Pho, the ""real"" one",pho
pho_3.jpg,12" bowl of pho,pho
"""


def _with_titles(source, titles):
    make_source(source, train=4, test=3, classes=("pho",))
    (source / "texts" / "train_titles.csv").write_text(titles)
    builder = Food101(data_dir=source.parent / "data", options=Food101Options(text="tokens"))
    return builder.listing(source)


def test_one_image_a_line_whatever_the_quotes(tmp_path):
    listing = _with_titles(tmp_path / "source", TITLES)
    train = [record for record in listing.records if record.split == "train"]
    assert [record.key for record in train] == [f"train/pho_{n}" for n in range(4)]
    rows, _ = read_titles(tmp_path / "source" / "texts" / "train_titles.csv", ["pho"])
    assert [row.title for row in rows] == [
        "Plain pho",
        "Best pho",
        'Pho, the "real" one',
        '12" bowl of pho',
    ]
    (warning,) = listing.warnings
    assert "1 titles open a quote that is never closed" in warning
    assert "the first is in line 2" in warning


def test_a_word_in_quotes_opens_nothing(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text('a.jpg,"Best" pho,pho\nb.jpg,Plain,pho\n')
    rows, warnings = read_titles(path, ["pho"])
    assert [row.title for row in rows] == ['"Best" pho', "Plain"]
    assert not warnings


def test_a_title_that_spans_lines_is_joined_and_reported(tmp_path):
    titles = TITLES + 'pho_4.jpg,"A title\nof three\nlines, really",pho\npho_5.jpg,Last,pho\n'
    listing = _with_titles(tmp_path / "source", titles)
    assert sum(record.split == "train" for record in listing.records) == 6
    rows, _ = read_titles(tmp_path / "source" / "texts" / "train_titles.csv", ["pho"])
    assert rows[4] == ("pho_4.jpg", "A title of three lines, really", "pho", 5)
    assert any("1 titles span lines" in warning for warning in listing.warnings)


def test_a_quote_that_nothing_closes_is_refused_where_it_opens(tmp_path):
    titles = 'pho_0.jpg,Plain,pho\npho_1.jpg,"Best\npho_2.jpg,"Other",pho\n'
    with pytest.raises(ValueError, match=r"train_titles\.csv:2 opens a quote"):
        _with_titles(tmp_path / "source", titles)


def test_a_split_by_name_beside_the_titles_is_used(tmp_path):
    source = tmp_path / "source"
    make_source(source, train=9, test=3)
    _rename_test_images(source)
    train, test = (sorted(row[0] for row in read_list(source, p)) for p in ("train", "test"))
    parts = {
        "train": train[:6],
        "val": [f"images/train/x/{name}" for name in train[6:]],
        "test": [name.removesuffix(".jpg") for name in test[:2]],
    }
    (source / "split.json").write_text(json.dumps(parts))
    builder = _prepared(tmp_path, source, image_size=16)
    splits = builder.index.splits
    assert [int((splits == s).sum()) for s in ("train", "validation", "test")] == [6, 3, 2]
    assert "split.json" in builder.provenance
    assert builder.warnings[0].startswith("1 images of texts/ are in no list of")
    parts["val"].append("apple_pie_99")
    (source / "split.json").write_text(json.dumps(parts))
    assert "1 images of" in builder.listing(source).warnings[1]
    parts["test"].append(train[0])
    for content, why in (
        ("[]", "must hold lists"),
        ("{", "is no JSON"),
        ('{"train": [1], "test": []}', "train is no list of names"),
        (json.dumps(parts), "names '.*' twice"),
    ):
        (source / "split.json").write_text(content)
        with pytest.raises(ValueError, match=why):
            builder.listing(source)
    (source / "texts").rename(source / "aside")
    for name in ("train", "test"):
        (source / f"{name}.json").write_text("[]")
    assert "is ignored" in builder.listing(source).warnings[0]


def _rename_test_images(source):
    """In the release no name is in both parts."""
    path = source / "texts" / "test_titles.csv"
    rows = read_list(source, "test")
    for name, _, kind in rows:
        image = source / "images" / "test" / kind / name
        image.rename(image.with_name(f"{image.stem}00.jpg"))
    path.write_text("".join(f"{Path(n).stem}00.jpg,pie,{kind}\n" for n, _, kind in rows))


@pytest.mark.parametrize(
    "line,why",
    [
        (b"a.jpg,title\n", r"test_titles\.csv:9 has 2 columns"),
        (b"a.jpg,title,borscht\n", r"test_titles\.csv:9 has the class 'borscht'"),
        (b"../a.jpg,title,waffles\n", r"test_titles\.csv:9 has the image '\.\./a\.jpg'"),
        (b"waffles_2.jpg,title,waffles\n", r"'test/waffles_2' twice"),
        (b'a.jpg,"a quote\nthat nothing\ncloses\n', r"test_titles\.csv:9 opens a quote that no"),
    ],
)
def test_wrong_lines_of_a_list_are_refused(tmp_path, line, why):
    make_source(tmp_path / "source")
    path = tmp_path / "source" / "texts" / "test_titles.csv"
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(ValueError, match=why):
        _prepared(tmp_path, tmp_path / "source")


@pytest.mark.parametrize(
    "change,why",
    [
        ({"label": 101}, r"train\.json: entry 1 has the class 101; one of the 101 dishes"),
        ({"label": True}, "has the class True"),
        ({"img_path": "../x.jpg"}, "a path below"),
        ({"img_path": None}, "a path below"),
        ({"text_tokens": [1.5]}, "no list of integers >= 0, nor of words"),
        ({"text_tokens": None}, "neither text_tokens nor a text"),
        ({"text_tokens": [40000]}, "a token is 40000; vocabulary_size is 30522"),
    ],
)
def test_wrong_entries_of_json_are_refused(tmp_path, change, why):
    make_json_source(tmp_path / "source")
    path = tmp_path / "source" / "train.json"
    entries = json.loads(path.read_text())
    entries[0].update(change)
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=why):
        _prepared(tmp_path, tmp_path / "source")


def test_wrong_layouts_are_refused(tmp_path):
    source = tmp_path / "source"
    make_json_source(source)
    (source / "test.json").rename(source / "kept")
    with pytest.raises(ValueError, match=r"holds no test\.json"):
        _prepared(tmp_path, source)
    for content, why in (("{", "is no JSON"), ("{}", "holds a dict"), ("[1]", "entry 1 is a int")):
        (source / "test.json").write_text(content)
        with pytest.raises(ValueError, match=why):
            _prepared(tmp_path, source)
    (source / "kept").rename(source / "test.json")
    (source / "texts").mkdir()
    (source / "texts" / "train_titles.csv").write_text("")
    with pytest.raises(ValueError, match="leave the lists that are meant"):
        _prepared(tmp_path, source)
    for name in ("train", "dev", "test"):
        (source / f"{name}.json").unlink()
    with pytest.raises(
        ValueError,
        match=r"test_titles\.csv does not exist; .*test\.json in .*source or one folder of it",
    ):
        _prepared(tmp_path, source)
