import pytest

from masam_jax.data.dataset_spec import is_own, parse_dataset, pinned, write_dataset
from masam_jax.data.own.options import OwnOptions


@pytest.mark.parametrize(
    "spec, place, options",
    [
        ("mine.csv", "mine.csv", OwnOptions()),
        ("a/b.npz:label=y", "a/b.npz", OwnOptions(label="y")),
        ("C:/x.csv:label=a/b,test=40", "C:/x.csv", OwnOptions(label="a/b", test=40)),
        ("pkg.data:load", "pkg.data:load", OwnOptions()),
        ("pkg.data:load:folds=5,fold=1", "pkg.data:load", OwnOptions(folds=5, fold=1)),
    ],
)
def test_places_and_their_options(spec, place, options):
    dataset = parse_dataset(spec)
    assert dataset == (place, options)
    assert parse_dataset(write_dataset(dataset)) == dataset


def test_names_come_before_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mfeat").mkdir()
    (tmp_path / "mine").mkdir()
    assert [is_own(each) for each in ("mfeat", "./mfeat", "mine", "mien", "mfeat:x")] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_run_pins_the_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pinned("a.csv:label=y") == f"{tmp_path}/a.csv:label=y"
    assert pinned("pkg:load:test=0.5") == "pkg:load:test=0.5"
    assert pinned("synthetic:samples=400") == "synthetic:samples=400"


@pytest.mark.parametrize(
    "options, words",
    [
        ("test=0.2,folds=5", "test=0.2 and folds=5 exclude each other"),
        ("folds=5,fold=5", "fold=5 is out of range"),
        ("test=-1", "test=-1.0 is out of range"),
        ("test=1.5", "test=1.5: a share below 1, or a whole number of rows, is accepted"),
        ("validation=20.5", "validation=20.5: a share"),
        ("lable=y", "did you mean 'label'"),
        ("label=", "not of the form option=value"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(ValueError, match=words):
        parse_dataset(f"mine.csv:{options}")
