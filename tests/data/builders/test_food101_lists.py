import json

import pytest

from masam_jax.data.builders.food101 import Food101, Food101Options
from tests.data.builders.food101_source import make_json_source, make_source


def _prepared(tmp_path, source, **options):
    builder = Food101(data_dir=tmp_path / "prepared", options=Food101Options(**options))
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
    assert len(Food101(data_dir=tmp_path / "d").listing(tmp_path / "source").records) == 32


@pytest.mark.parametrize(
    "line,why",
    [
        (b"a.jpg,title\n", r"test_titles\.csv:9 has 2 columns"),
        (b"a.jpg,title,borscht\n", r"test_titles\.csv:9 has the class 'borscht'"),
        (b"../a.jpg,title,waffles\n", r"test_titles\.csv:9 has the image '\.\./a\.jpg'"),
        (b"waffles_2.jpg,title,waffles\n", r"'test/waffles_2' twice"),
        (b'a.jpg,"' + b"x" * 200_000 + b'",waffles\n', r"test_titles\.csv:\d+: field larger"),
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
        ({"img_path": "/etc/x.jpg"}, "a path below"),
        ({"img_path": "../x.jpg"}, "a path below"),
        ({"img_path": None}, "a path below"),
        ({"text_tokens": [1.5]}, "no list of integers"),
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
    with pytest.raises(ValueError, match=r"test_titles\.csv does not exist; .*test\.json"):
        _prepared(tmp_path, source)
