"""Files and functions, opened; and every fault that they can have, in a line."""

import dataclasses
import textwrap

import numpy as np
import pytest

from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.own.opening import open_own
from tests.data.own.small_files import WORDS, small_arrays, small_columns, write_csv


def _open(spec):
    return open_own(*parse_dataset(str(spec)))


def test_a_table_of_numbers_needs_its_label_alone(tmp_path):
    columns = small_columns()
    path = write_csv(tmp_path / "trees.csv", columns)
    found = _open(f"{path}:label=species,group=patient")
    data = found.data
    assert (data.name, data.class_names) == ("trees", WORDS)
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {
        "face": (2,),
        "sensor": (3,),
    }
    np.testing.assert_allclose(data.features["sensor"][:, 1], columns["sensor_1"], rtol=1e-6)
    assert [WORDS[number] for number in data.labels] == columns["species"]
    split = data.split(seed=0)
    patients = [{columns["patient"][row] for row in part} for part in split]
    assert not patients[0] & patients[2]
    assert found.doubts == ()


def test_columns_about_rows_are_no_features(tmp_path):
    columns = {**small_columns(), "fold": [0, 1] * 30, "id": [0, 0, *range(58)]}
    found = _open(f"{write_csv(tmp_path / 'trees.csv', columns)}:label=species")
    assert found.data.modalities == ("face", "sensor")
    assert [doubt.split(", ")[0] for doubt in found.doubts] == [
        "patient: not used; it seems to say whose row it is",
        "fold: not used; it seems to number folds",
        "id: not used; it seems to name rows",
    ]


def test_parquet_says_the_same(tmp_path):
    pandas = pytest.importorskip("pandas")
    columns = small_columns()
    pandas.DataFrame(columns).to_parquet(tmp_path / "trees.parquet")
    asked = ":label=species,group=patient"
    data = _open(f"{tmp_path / 'trees.parquet'}{asked}").data
    from_csv = _open(f"{write_csv(tmp_path / 'trees.csv', columns)}{asked}").data
    assert data.digest() == from_csv.digest()


def test_semicolons_and_tabs(tmp_path):
    text = "label;a_0;a_1;of us, all\nx;1;2;3\ny;2;3;4\nx;3;4;5\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    (tmp_path / "a.tsv").write_text(text.replace(";", "\t"))
    for name in ("a.csv", "a.tsv"):
        data = _open(tmp_path / name).data
        assert data.features["a"].tolist() == [[1, 2], [2, 3], [3, 4]]
        assert data.modalities == ("a", "numbers")


def test_arrays_say_what_they_are(tmp_path):
    arrays = small_arrays()
    has = np.arange(60) % 4 > 0
    np.savez(
        tmp_path / "mine.npz",
        **arrays,
        present_text=has,
        split=np.array(["train"] * 40 + ["val"] * 8 + ["test"] * 12),
        class_names=np.array(WORDS),
    )
    data = _open(tmp_path / "mine.npz").data
    assert data.class_names == WORDS
    assert {m: spec.kind for m, spec in data.modality_specs.items()} == {
        "picture": "image",
        "text": "vector",
    }
    np.testing.assert_array_equal(data.present["text"], has)
    assert [len(part) for part in data.split(seed=0)] == [40, 8, 12]


@pytest.mark.parametrize(
    "label, names",
    [
        (np.eye(3)[np.arange(60) % 3], ("0", "1", "2")),
        (np.array([b"ash", b"elm", b"oak"])[np.arange(60) % 3], WORDS),
        (np.arange(60) % 3 + 4.0, ("4", "5", "6")),
        (np.array(WORDS)[np.arange(60) % 3], WORDS),
    ],
)
def test_classes_however_they_are_written(tmp_path, label, names):
    np.savez(tmp_path / "mine.npz", **{**small_arrays(), "label": label})
    data = _open(tmp_path / "mine.npz").data
    assert data.class_names == names
    assert data.labels.tolist() == [row % 3 for row in range(60)]


def test_grids_and_sequences(tmp_path):
    arrays = {
        "x_mel": np.random.default_rng(0).normal(size=(20, 6, 5)),
        "x_grey": np.random.default_rng(0).integers(0, 9, (20, 4, 4), dtype=np.uint8),
        "x_steps": np.ones((20, 7, 2), np.float32),
        "mask_steps": np.arange(7) < 1 + np.arange(20)[:, None] % 7,
        "y": np.arange(20) % 2,
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    found = _open(tmp_path / "mine.npz")
    specs = found.data.modality_specs
    assert {m: (spec.kind, spec.shape) for m, spec in specs.items()} == {
        "grey": ("image", (4, 4, 1)),
        "mel": ("spectrogram", (6, 5, 1)),
        "steps": ("sequence", (7, 2)),
    }
    np.testing.assert_array_equal(found.data.features["steps"]["mask"], arrays["mask_steps"])
    assert any("taken for spectrogram; it could be sequence, image" in d for d in found.doubts)


def test_words_are_categories_or_texts(tmp_path):
    columns = small_columns(24)
    columns["colour"] = ["red", "green"] * 12
    columns["note"] = [f"a tree of {word}, number {n}" for n, word in enumerate(columns["species"])]
    columns["note"][3] = ""
    columns["side"] = ["north", "south", "east", ""] * 6
    found = _open(f"{write_csv(tmp_path / 'trees.csv', columns)}:label=species")
    data = found.data
    assert data.features["categories"][0].tolist() == [0, 1, 0, 1, 0]
    assert data.features["categories"][3].tolist() == [1, 0, 0, 0, 0]
    assert data.modality_specs["note"].kind == "tokens"
    assert data.present["note"].tolist() == [row != 3 for row in range(24)]
    assert found.vocabulary[data.features["note"]["tokens"][0, 1]] == "a"


def test_names_of_rows_are_no_words_and_may_be_keys(tmp_path):
    columns = {**small_columns(), "tree": [f"t{row}" for row in range(60)]}
    path = write_csv(tmp_path / "a.csv", columns)
    said = "tree: not used; its words look like names of rows; key=tree keeps them with"
    assert any(doubt.startswith(said) for doubt in _open(f"{path}:label=species").doubts)
    assert _open(f"{path}:label=species,key=tree").data.keys[:2] == ("t0", "t1")
    # Others that are there twice cannot be.
    columns["tree"][1] = "t0"
    doubts = _open(f"{write_csv(path, columns)}:label=species").doubts
    assert any(doubt.endswith("names of rows") for doubt in doubts)


def test_rows_of_nan_alone_lack_the_modality(tmp_path):
    columns = small_columns(12)
    for name in ("face_x", "face_y"):
        columns[name] = [None, *columns[name][1:]]
    data = _open(f"{write_csv(tmp_path / 'a.csv', columns)}:label=species").data
    assert data.present["face"].tolist() == [False] + [True] * 11
    assert data.features["face"][0].tolist() == [0, 0]


def test_several_labels(tmp_path):
    columns = small_columns(12)
    columns["tall"], columns["old"] = [0, 1] * 6, [1, 1, 0] * 4
    data = _open(f"{write_csv(tmp_path / 'a.csv', columns)}:label=tall/old").data
    assert data.multi_label
    assert data.class_names == ("tall", "old")
    assert data.labels[:2].tolist() == [[0, 1], [1, 1]]


def test_classes_that_are_numbers_keep_their_names(tmp_path):
    columns = small_columns(12)
    columns["species"] = [3, 5, 9] * 4
    data = _open(f"{write_csv(tmp_path / 'a.csv', columns)}:label=species").data
    assert data.class_names == ("3", "5", "9")
    assert data.labels[:3].tolist() == [0, 1, 2]


def test_the_digest_is_of_everything(tmp_path):
    columns = small_columns()
    digests = {_open(f"{write_csv(tmp_path / 'a.csv', columns)}:label=species").data.digest()}
    for name, value in {"sensor_1": 0.5, "species": "oak", "face_x": 7}.items():
        changed = {**columns, name: [value, *columns[name][1:]]}
        found = _open(f"{write_csv(tmp_path / 'a.csv', changed)}:label=species")
        digests.add(found.data.digest())
    # As are the parts that are drawn.
    for more in ("test=0.3", "folds=3", "folds=3,fold=1", "group=patient"):
        path = write_csv(tmp_path / "a.csv", columns)
        digests.add(_open(f"{path}:label=species,{more}").data.digest())
    assert len(digests) == 8


def _with(row, **values):
    columns = small_columns()
    for name, value in values.items():
        columns[name] = [*columns[name][:row], value, *columns[name][row + 1 :]]
    return columns


@pytest.mark.parametrize(
    "columns, options, words",
    [
        (small_columns(), "", "no column is called label, labels, y, target, class"),
        (small_columns(), "label=spicies", "unknown column 'spicies'; did you mean 'species'"),
        (small_columns(), "label=species,group=x", "unknown column 'x'"),
        (
            _with(3, species=None),
            "label=species",
            "line 5, column 'species': a label is missing, as in 1 of 60 rows",
        ),
        (
            _with(4, face_y=None),
            "label=species",
            "line 6, column 'face_y': the value is missing",
        ),
        (
            {**small_columns(), "species": ["oak"] * 60},
            "label=species",
            "column 'species': labels are all 'oak'; at least 2 classes are needed",
        ),
        (
            {**small_columns(), "split": ["train", "tset"] * 30},
            "label=species,split=split",
            "column 'split' holds tset, train",
        ),
        (
            {**small_columns(), "fold": [0, 1, 2] * 20},
            "label=species,split=fold",
            "fold=0 tests on the first of folds",
        ),
        (
            {**small_columns(), "fold": [0, 1, 2] * 20},
            "label=species,split=fold,fold=3",
            "has 3 folds",
        ),
        (
            _with(4, sensor_2="oops"),
            "label=species",
            "line 6, column 'sensor_2': 'oops' is no number, and 59 of 60 values are",
        ),
        ({"species": ["a", "b"]}, "label=species", "no column is left to learn from"),
    ],
)
def test_faults_of_tables_name_file_row_and_column(tmp_path, columns, options, words):
    path = write_csv(tmp_path / "trees.csv", columns)
    with pytest.raises(ValueError) as error:
        _open(f"{path}:{options}" if options else path)
    assert words in str(error.value)
    assert str(error.value).startswith(str(path))


def test_fractions_are_no_classes(tmp_path):
    columns = {**small_columns(), "species": np.linspace(0, 1, 60)}
    path = write_csv(tmp_path / "trees.csv", columns)
    with pytest.raises(ValueError, match=r"column 'species': labels .* are no whole numbers"):
        _open(f"{path}:label=species")


def test_sizes_that_training_asks_for_come_first(tmp_path):
    arrays = {**small_arrays(), "split": np.array(["train"] * 40 + ["val"] * 8 + ["test"] * 12)}
    np.savez(tmp_path / "mine.npz", **arrays)
    sizes = {"train_size": 9, "validation_size": 6, "test_size": 6}
    split = _open(tmp_path / "mine.npz").data.split(seed=0, **sizes)
    assert [len(part) for part in split] == [9, 6, 6]
    assert split.test.min() >= 48
    drawn = _open(f"{tmp_path / 'mine.npz'}:split=random,folds=4").data
    assert [len(part) for part in drawn.split(seed=0, **sizes)] == [9, 6, 6]
    assert [len(part) for part in drawn.split(seed=0)] == [39, 6, 15]


def test_folds_of_a_column(tmp_path):
    columns = {**small_columns(), "fold": [0, 1, 2] * 20}
    path = write_csv(tmp_path / "trees.csv", columns)
    split = _open(f"{path}:label=patient,split=fold,fold=1").data.split(seed=0)
    assert split.test.tolist() == list(range(1, 60, 3))


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.npz", b"nothing", "it is no whole .npz file"),
        ("a.csv", b"a,b\n1,2,3\n", "more cells than the first line has names"),
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"label,b\n", "the table has no row"),
        ("a.csv", b"label,b,b\n1,2,3\n", "the first line names 'b' twice"),
        ("a.csv", b"label,b\n\xff,3\n", "cannot be read as a table: .*utf-8"),
        ("a.parquet", b"PAR1", "cannot be read as a table"),
        ("a.txt", b"", "is of no kind that is read"),
        ("nothing.csv", None, "there is no such file or folder"),
    ],
)
def test_files_that_are_none(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        _open(tmp_path / name)


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"x_text": np.ones((59, 4))},
            r"a.npz: array 'x_text' has shape \(59, 4\); 60 rows are needed, as 'label' has",
        ),
        ({"present_text": np.ones(59)}, "array 'present_text' has shape"),
        ({"seed": np.int64(3)}, None),
        ({"label": np.array([{}] * 60, dtype=object)}, "array 'label' holds Python's objects"),
        ({"x_text": np.full((60, 4), np.nan)}, None),
        (
            {"x_picture": np.where(np.arange(3) > 1, np.nan, np.ones((60, 8, 8, 3)))},
            r"row 0, .*'x_picture': 64 values are NaN, the first at \[0, 0, 2\]",
        ),
        (
            {"x_text": np.where(np.arange(240).reshape(60, 4) == 22, np.nan, 1)},
            r"row 5, .*'x_text', feature 2: the value is missing, as are 1 in all",
        ),
        ({"present_text": np.arange(60)}, "'present_text': truth values are needed"),
    ],
)
def test_faults_of_arrays(tmp_path, change, words):
    np.savez(tmp_path / "a.npz", **{**small_arrays(), **change})
    if words is None:
        # What is of no rows is left out, and said; what is NaN alone is missing.
        found = _open(tmp_path / "a.npz")
        assert found.doubts or not found.data.present["text"].any()
        return
    with pytest.raises(ValueError, match=words):
        _open(tmp_path / "a.npz")


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _objects(*rows):
    found = np.empty(len(rows), object)
    found[:] = rows
    return found


@pytest.mark.parametrize(
    "rows, words",
    [
        (
            [np.ones((5, 3)), np.ones((5, 3)), np.ones((4, 3))],
            r"array 'x_audio' holds rows of different shapes: row 0 has \(5, 3\), and row 2"
            r" \(4, 3\); pad them to one length, \[N, T, D\], and give mask_audio \[N, T\]",
        ),
        ([[1, 2], [3]], r"row 0 has \(2,\), and row 1 \(1,\); pad them"),
        ([np.ones(3, np.float32), np.ones(3)], r"numpy\.stack\(values\) makes numbers"),
        (["ash", None], r"numpy\.array\(values, dtype=str\) makes text"),
    ],
)
def test_objects_are_refused_with_what_to_do(tmp_path, rows, words):
    np.savez(tmp_path / "a.npz", x_audio=_objects(*rows), y=np.arange(len(rows)))
    with pytest.raises(ValueError, match=words):
        _open(tmp_path / "a.npz")


def test_objects_run_no_code(tmp_path):
    np.savez(tmp_path / "a.npz", x_audio=_objects([1.0], Trap(tmp_path / "trapped")))
    with pytest.raises(ValueError, match="holds Python's objects"):
        _open(tmp_path / "a.npz")
    assert not (tmp_path / "trapped").exists()


def test_a_modality_without_x_is_refused_as_well_where_rows_differ(tmp_path):
    np.savez(tmp_path / "a.npz", sound=np.ones((59, 4)), face=np.eye(60), y=np.arange(60) % 2)
    with pytest.raises(ValueError, match=r"array 'sound' has shape \(59, 4\); 60 rows"):
        _open(tmp_path / "a.npz")


def test_without_a_label_arrays_are_said_not_columns(tmp_path):
    np.savez(tmp_path / "a.npz", x_sound=np.eye(6), kind=np.arange(6) % 2)
    words = r"no array is called label, .*y, .*PATH:label=ARRAY \(arrays: x_sound, kind\)"
    with pytest.raises(ValueError, match=words):
        _open(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="unknown array 'knid'; did you mean 'kind'"):
        _open(f"{tmp_path / 'a.npz'}:label=knid")
    assert _open(f"{tmp_path / 'a.npz'}:label=kind").data.modalities == ("sound",)


MODULE = """
import numpy as np
from masam_jax.data import MultimodalData

def load():
    features = {"a": np.ones((30, 2)) * np.arange(30)[:, None], "b": np.eye(30)}
    return MultimodalData(features, ["x", "y", "z"] * 10, name="made")

def fails():
    raise KeyError("no such thing")

def other():
    return 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_own_data.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    return "my_own_data"


def test_a_function(module):
    data = _open(f"{module}:load").data
    assert (data.name, data.class_names) == ("made", ("x", "y", "z"))
    assert [len(part) for part in data.split(seed=0)] == [21, 3, 6]
    folds = [_open(f"{module}:load:folds=3,fold={fold}").data.split(seed=0) for fold in (0, 1)]
    assert not set(folds[0].test.tolist()) & set(folds[1].test.tolist())
    assert len(data.fingerprint) == 64
    assert dataclasses.replace(data, fingerprint="").digest() != data.digest()


@pytest.mark.parametrize(
    "place, words",
    [
        ("no_such_module_here:load", "there is no module 'no_such_module_here'"),
        ("my_own_data:laod", "module 'my_own_data' has no function 'laod'"),
        ("my_own_data:fails", r"failed: KeyError: 'no such thing' \(.*my_own_data.py, line 10\)"),
        ("my_own_data:other", "returned a int"),
        ("my_own_data:load:label=x", "label= names a column, and a function has none"),
    ],
)
def test_functions_that_do_not_do(module, place, words):
    with pytest.raises(ValueError, match=words):
        _open(place)
