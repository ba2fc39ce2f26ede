"""What --methods accepts beside specifications."""

import json

import pytest

from masam_jax.api import method_list
from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.methods import method_names
from masam_jax.training.storage.run_directory import FORMAT
from masam_jax.tuning.best_file import TUNING_FORMAT, sign_best

ABLATIONS = [
    "masam:select=all",
    "masam:select=random",
    "masam:scale_by_alignment=false",
]


def _write(path, best, **changes):
    content = {"format": TUNING_FORMAT, "methods": best, "trials": 3} | changes
    path.write_text(json.dumps(sign_best(content)))
    return path


def expand_methods(words, published=None):
    return tuple(method.spec for method in method_list.expand_methods(words, published))


def test_specifications_are_bound_in_their_order():
    specs = ("masam:rho=3.0", "late_fusion", "late_fusion")
    assert expand_methods(specs) == ("masam:rho=3", "late_fusion", "late_fusion")
    assert [m.named for m in method_list.expand_methods(specs)] == [{"rho"}, set(), set()]
    assert expand_methods(()) == ()


def test_all_is_every_method_and_the_ablations():
    specs = expand_methods(["all"])
    assert set(specs) == {*method_names(), *ABLATIONS}
    assert len(specs) == len(set(specs))
    place = specs.index("masam")
    assert list(specs[place + 1 : place + 4]) == ABLATIONS


def test_a_method_named_beside_a_list_keeps_its_place():
    specs = expand_methods(["masam:select=all", "all", "masam:rho=3"])
    assert specs[0] == "masam:select=all"
    assert specs[-1] == "masam:rho=3"
    assert len(specs) == len(set(specs)) == len(method_names()) + len(ABLATIONS) + 1
    assert expand_methods(["all", "all"]) == expand_methods(["all"])


def test_published_options_are_given_to_all_but_what_a_tuning_found(tmp_path):
    published = {"masam": {"alpha": 0.5}}
    _write(tmp_path / "best.json", ["masam:rho=12"])
    specs = expand_methods(["sam", "masam", f"@{tmp_path}"], published)
    assert specs == ("sam", "masam:alpha=0.5", "masam:rho=12")
    specs = expand_methods(["all"], published)
    assert "masam:alpha=0.5" in specs
    assert "masam" not in specs
    # Named on its own with the options that it is given anyway.
    specs = expand_methods(["masam:alpha=0.5", "all"], published)
    assert specs.count("masam:alpha=0.5") == 1


def test_best_methods_by_file_or_directory(tmp_path):
    path = _write(tmp_path / "best.json", ["masam:rho=12", "late_fusion", "masam:rho=12.0"])
    expected = ("masam:rho=12", "late_fusion")
    assert expand_methods([f"@{path}"]) == expected
    assert expand_methods([f"@{tmp_path}"]) == expected
    assert expand_methods(["masam", f"@{tmp_path}"]) == ("masam", *expected)
    moved = path.rename(tmp_path / "other.json")
    assert expand_methods([f"@{moved}", "late_fusion"]) == ("masam:rho=12", "late_fusion")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": "masam_jax run 1"}, "format is 'masam_jax run 1', expected 'masam_jax tuning"),
        ({"methods": []}, "holds no list of methods"),
        ({"methods": "masam"}, "holds no list of methods"),
        ({"methods": ["masam", 3]}, "holds no list of methods"),
        ({"methods": ["masam", "masm"]}, r"best.json: unknown method 'masm'; did you mean"),
        ({"methods": ["masam:rho=-1"]}, "best.json: .*rho=-1.0 is out of range"),
    ],
)
def test_foreign_and_damaged_files_are_refused(tmp_path, changes, message):
    path = _write(tmp_path / "best.json", ["masam"], **changes)
    with pytest.raises(RunError, match=message):
        expand_methods([f"@{path}"])


def test_one_bit_of_what_a_tuning_found_is_noticed(tmp_path):
    """Most leave a file that reads well, and another method or other options."""
    path = _write(tmp_path / "best.json", ["masam:rho=12"])
    content = path.read_bytes()
    for position in range(8 * len(content)):
        changed = bytearray(content)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(
            RunError, match=r"best\.json is (damaged|not the outcome of masam tune)"
        ):
            expand_methods([f"@{path}"])


def test_missing_and_unreadable_files_are_refused(tmp_path):
    with pytest.raises(RunError, match=r"there is no .*best.json; a finished masam tune"):
        expand_methods([f"@{tmp_path}"])
    with pytest.raises(RunError, match="there is no nowhere"):
        expand_methods(["@nowhere"])
    with pytest.raises(RunError, match="'@' names no file"):
        expand_methods(["@"])
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(RunError, match=r"best.json is damaged"):
        expand_methods([f"@{tmp_path}"])


def test_unknown_methods_are_refused():
    with pytest.raises(RunError, match="unknown method 'al'"):
        expand_methods(["al"])


def test_a_resumed_run_takes_none_of_what_was_published(tmp_path):
    """Its specifications leave out what is the method's default, published or not."""
    published = {"masam": {"rho": 0.5, "alpha": 0.5}}
    begun = method_list.bind_method("masam:rho=0.3", published)
    assert begun.spec == "masam:alpha=0.5"
    config = {"format": FORMAT, "kind": "compare", "methods": ["late_fusion", begun.spec]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    recorded = method_list.recorded_methods(OutputConfig(str(tmp_path), resume=True))
    assert recorded == {"late_fusion", "masam:alpha=0.5"}
    (again,) = method_list.expand_methods([begun.spec], published, recorded)
    assert (again, again.spec) == (begun, begun.spec)
    # Typed again as it was begun, it is the same.
    assert method_list.bind_method("masam:rho=0.3", published, recorded) == begun
    (tmp_path / "config.json").write_text(json.dumps({"format": FORMAT, "method": "masam"}))
    assert method_list.recorded_methods(OutputConfig(str(tmp_path), resume=True)) == {"masam"}
    for other in (OutputConfig(str(tmp_path)), OutputConfig(str(tmp_path / "no"), resume=True)):
        assert method_list.recorded_methods(other) == frozenset()
