"""Prepared copies that are opened, made and replaced."""

import itertools
import os
import shutil
import signal
import time

import pytest

from masam_jax.cli.command_line import main
from masam_jax.data.builders.av_digits import AvDigits
from masam_jax.data.builders.crema_d import CremaD
from masam_jax.data.builders.registry import default_source
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.prepare import open_builder, prepare_dataset
from tests.data.builders.sources import fixture_spec, make_any_source

ADNI = parse_dataset("adni")


@pytest.fixture
def source(tmp_path):
    make_any_source("adni", tmp_path / "source")
    return tmp_path / "source"


def test_the_source_is_looked_for_in_its_place(tmp_path):
    make_any_source("adni", default_source("adni", tmp_path))
    progress = []
    builder = prepare_dataset(ADNI, tmp_path, progress=lambda *now: progress.append(now))
    assert builder.is_prepared
    assert progress[-1] == (45, 45)
    assert open_builder(ADNI, tmp_path).index.digest() == builder.index.digest()


def test_what_needs_no_source_gets_none(tmp_path):
    builder = prepare_dataset(parse_dataset("av_digits:samples=40"), tmp_path)
    assert isinstance(builder, AvDigits)
    assert len(builder.index.keys) == 40


def test_a_missing_source_is_told_with_what_it_must_hold(tmp_path):
    with pytest.raises(ValueError) as error:
        prepare_dataset(parse_dataset("crema_d"), tmp_path)
    assert f"{default_source('crema_d', tmp_path)} is no directory" in str(error.value)
    assert CremaD.MANUAL_DOWNLOAD_INSTRUCTIONS in str(error.value)


def test_what_is_prepared_is_not_prepared_again(tmp_path, source):
    prepare_dataset(ADNI, tmp_path, source)
    with pytest.raises(ValueError, match=r"adni is prepared already in .*1\.0\.0"):
        prepare_dataset(ADNI, tmp_path, source)


def test_overwriting_replaces_the_copy(tmp_path, source):
    place = tmp_path / "adni" / "1.0.0"
    prepare_dataset(ADNI, tmp_path, source)
    (place / "trace").touch()
    table = source / "ADNI_merged.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-5]) + "\n")
    builder = prepare_dataset(ADNI, tmp_path, source, overwrite=True)
    assert len(builder.index.keys) == 40
    assert not (place / "trace").exists()
    assert [path.name for path in place.parent.iterdir()] == ["1.0.0"]


def test_the_old_copy_stays_where_the_new_one_is_not_made(tmp_path, source, monkeypatch):
    builder = prepare_dataset(ADNI, tmp_path, source)
    digest = builder.index.digest()
    with pytest.raises(ValueError, match=r"holds 0 \.csv files"):
        prepare_dataset(ADNI, tmp_path, tmp_path / "adni", overwrite=True)
    calls = itertools.count()

    def interrupted(self, record):
        if next(calls) == 0:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        raise DamagedMedia("interrupted")

    monkeypatch.setattr(type(builder), "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(ADNI, tmp_path, source, overwrite=True)
    assert open_builder(ADNI, tmp_path).index.digest() == digest


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of the program runs after it."""


def _kill_where_removed(monkeypatch, ending):
    """Kills a build when it is about to remove a directory whose name ends so."""
    remove = shutil.rmtree

    def deadly(path, *rest, **options):
        if str(path).endswith(ending):
            raise _Killed
        remove(path, *rest, **options)

    monkeypatch.setattr(shutil, "rmtree", deadly)


@pytest.mark.parametrize("again", ["prepare", "command line", "overwrite"])
def test_a_build_that_was_killed_when_its_data_were_whole_leaves_nothing(
    tmp_path, monkeypatch, again
):
    source, place = tmp_path / "source", tmp_path / "food101" / "1.1.0"
    make_any_source("food101", source)
    spec = fixture_spec("food101")
    food101 = parse_dataset(spec)
    with monkeypatch.context() as patch:
        _kill_where_removed(patch, "1.1.0.encoded")
        with pytest.raises(_Killed):
            prepare_dataset(food101, tmp_path, source)
    assert {path.name for path in place.parent.iterdir()} == {"1.1.0", "1.1.0.encoded"}
    if again == "prepare":
        with pytest.raises(ValueError, match="food101 is prepared already"):
            prepare_dataset(food101, tmp_path, source)
    elif again == "overwrite":
        prepare_dataset(food101, tmp_path, source, overwrite=True)
    else:
        words = ["datasets", "prepare", spec, "--source", str(source)]
        assert main([*words, "--data-dir", str(tmp_path)]) == 0
    assert [path.name for path in place.parent.iterdir()] == ["1.1.0"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_copy_that_was_being_replaced_by_a_killed_build_comes_back(
    tmp_path, source, monkeypatch, overwrite
):
    place = tmp_path / "adni" / "1.0.0"
    prepare_dataset(ADNI, tmp_path, source)
    (place / "trace").touch()
    # As a kill leaves them: nothing is moved back, and what TFDS was writing stays.
    place.rename(place.with_name("1.0.0.replaced"))
    place.with_name("incomplete.ABCDEF_1.0.0").mkdir()
    assert not open_builder(ADNI, tmp_path).is_prepared
    builder = prepare_dataset(ADNI, tmp_path, source, overwrite=overwrite)
    assert builder.is_prepared
    assert (place / "trace").exists() is not overwrite
    assert [path.name for path in place.parent.iterdir()] == ["1.0.0"]


def test_overwriting_mends_a_damaged_copy(tmp_path, source):
    prepare_dataset(ADNI, tmp_path, source)
    (tmp_path / "adni" / "1.0.0" / "dataset_info.json").write_text("{")
    message = "adni: what is prepared in .* is damaged: ParseError.*prepare adni --overwrite"
    with pytest.raises(ValueError, match=message):
        open_builder(ADNI, tmp_path)
    with pytest.raises(ValueError, match="is damaged"):
        prepare_dataset(ADNI, tmp_path, source)
    assert prepare_dataset(ADNI, tmp_path, source, overwrite=True).is_prepared


@pytest.mark.parametrize("content, message", [("{", "Expecting"), ("{}", r"lacks \['damaged'")])
def test_a_damaged_index_is_told(tmp_path, source, content, message):
    prepare_dataset(ADNI, tmp_path, source)
    (tmp_path / "adni" / "1.0.0" / "metadata.json").write_text(content)
    with pytest.raises(ValueError, match=f"metadata.json is damaged: .*{message}"):
        _ = open_builder(ADNI, tmp_path).index
