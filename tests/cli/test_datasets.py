"""``masam datasets``, from its words to its files and exit codes."""

import inspect
import io
import itertools
import os
import re
import signal
import sys
import time
import wave

import pytest
from PIL import Image
from rich.console import Console

from masam_jax.cli import command_line as cli
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.core.extras import install_extras
from masam_jax.data.builders.adni import Adni
from masam_jax.data.builders.registry import BUILDERS, default_source
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.dataset_spec import all_dataset_names
from tests.data.builders.sources import fixture_spec, make_any_source

CREMA_D = fixture_spec("crema_d")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs ``masam datasets`` with a data directory of its own; code, output and errors."""
    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path / "data"))

    def run(*words):
        try:
            code = cli.main(["datasets", *map(str, words)])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def adni_source(tmp_path):
    make_any_source("adni", tmp_path / "source")
    return tmp_path / "source"


def rows_of(output):
    """First cell of a table's row -> the others."""
    cells = [
        [cell.strip() for cell in re.split("[│┃|]", line)[1:-1]] for line in output.splitlines()
    ]
    return {row[0]: row[1:] for row in cells if row and row[0]}


def test_the_list_has_every_data_set(run, tmp_path):
    code, output, errors = run("list")
    assert (code, errors) == (0, "")
    rows = rows_of(output)
    assert set(all_dataset_names()) <= set(rows)
    assert rows["crema_d"] == ["CREMA-D", "6", "audio, video", "Accuracy", "no"]
    assert rows["mimic_phenotype"][1] == "25 labels"
    assert rows["mfeat"][-1] == rows["synthetic"][-1] == "ships with the package"
    assert f"prepared data: {tmp_path / 'data'}" in output
    assert not (tmp_path / "data").exists()


def test_the_list_counts_what_is_prepared(run, adni_source, tmp_path):
    place = tmp_path / "elsewhere"
    assert run("prepare", "adni", "--source", adni_source, "--data-dir", place)[0] == 0
    assert run("prepare", "av_digits:samples=40", "--data-dir", place)[0] == 0
    code, output, _ = run("list", "--data-dir", place)
    rows = rows_of(output)
    assert code == 0
    assert rows["adni"][-1] == "45 samples"
    assert rows["av_digits"][-1] == "see below"
    assert "was prepared with samples=40, and samples=None is asked for" in output
    assert rows_of(run("list")[1])["adni"][-1] == "no"


def test_without_the_extra_the_list_says_what_to_install(run, monkeypatch):
    for module in list(sys.modules):
        if module.startswith("masam_jax.data.builders.") and not module.endswith(".registry"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    code, output, errors = run("list")
    assert (code, errors) == (0, "")
    rows = rows_of(output)
    assert rows["mfeat"][0] == "UCI Multiple Features"
    assert rows["crema_d"] == ["emotion (6) from speech and face", *["—"] * 4]
    names = ", ".join(sorted(BUILDERS))
    need = f"needs the package tensorflow_datasets: {install_extras('data')}"
    assert f"{names}: {need}" in output
    code, _, errors = run("prepare", "crema_d")
    assert code == 2
    assert errors == f"masam datasets prepare: dataset 'crema_d' {need}\n"


def test_preparing_counts_and_names_what_was_left_out(run, tmp_path):
    source = default_source("crema_d", tmp_path / "data")
    make_any_source("crema_d", source)
    (source / "AudioWAV" / "1001_IEO_HAP_XX.wav").unlink()
    (source / "VideoFlash" / "1001_TIE_SAD_XX.flv").write_bytes(b"FLV\x01")
    code, output, errors = run("prepare", CREMA_D, "--threads", "1")
    assert (code, errors) == (0, "")
    assert f"prepared in {tmp_path / 'data' / 'crema_d' / '1.0.0'}" in output
    assert "samples: train 23, test 7" in output
    assert "left out, damaged or missing: 2" in output
    assert f"1001_IEO_HAP_XX: {source}/AudioWAV/1001_IEO_HAP_XX.wav: there is no such" in output
    assert f"1001_TIE_SAD_XX: {source}/VideoFlash/1001_TIE_SAD_XX.flv: " in output
    assert f"datasets verify {CREMA_D}" in output
    assert f"{CREMA_D}: 32/32" in output
    # Again: nothing is done.
    code, output, errors = run("prepare", CREMA_D, "--source", tmp_path / "nowhere")
    assert (code, errors) == (0, "")
    assert "is prepared already; --overwrite does it again" in output
    assert "left out, damaged or missing: 2" in output
    assert "/32" not in output


def test_constant_inputs_are_named(run, tmp_path):
    """As one clip of CREMA-D is, which is silent."""
    source = default_source("crema_d", tmp_path / "data")
    make_any_source("crema_d", source)
    with wave.open(str(source / "AudioWAV" / "1001_IEO_HAP_XX.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(64_000))
    code, output, _ = run("prepare", CREMA_D)
    assert code == 0
    line = "in 1 sample: 1001_IEO_HAP_XX"
    assert f"constant waveform, such as silence or one colour, {line}\n" in output
    assert "constant frames" not in output
    code, output, errors = run("verify", CREMA_D)
    assert (code, errors) == (0, "")
    assert f"constant audio, such as silence or one colour, {line}\n" in output
    assert output.count("\nconstant ") == 1


def test_strict_stops_at_damage(run, tmp_path):
    source = tmp_path / "source"
    make_any_source("crema_d", source)
    (source / "AudioWAV" / "1001_IEO_HAP_XX.wav").write_bytes(b"RIFF")
    code, _, errors = run("prepare", CREMA_D, "--source", source, "--strict")
    assert code == 2
    assert errors.startswith("masam datasets prepare: crema_d: 1001_IEO_HAP_XX: ")
    assert errors.count("\n") == 1
    assert run("verify", CREMA_D)[0] == 2


def test_a_missing_source_comes_with_instructions(run, tmp_path):
    code, _, errors = run("prepare", "adni")
    assert code == 2
    assert f"adni: {default_source('adni', tmp_path / 'data')} is no directory" in errors
    assert Adni.MANUAL_DOWNLOAD_INSTRUCTIONS in errors


def test_options_that_the_prepared_copy_cannot_serve(run, tmp_path):
    make_any_source("crema_d", tmp_path / "source")
    words = ["prepare", "--source", tmp_path / "source"]
    assert run(*words, "crema_d:split=actor")[0] == 0
    code, _, errors = run(*words, "crema_d")
    assert code == 2
    assert "were prepared with split='actor', without the published lists" in errors
    assert run("verify", "crema_d")[0] == 2
    code, output, _ = run(*words, "crema_d", "--overwrite")
    assert code == 0
    assert "samples: train 24, test 8" in output


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_preparation_goes_on_with_the_same_command(
    run, adni_source, monkeypatch, number, code
):
    encode, calls, handler = Adni.encode, itertools.count(), signal.getsignal(signal.SIGTERM)

    def interrupted(self, record):
        call = next(calls)
        if call == 9:
            os.kill(os.getpid(), number)
        if call >= 9:
            time.sleep(0.1)
            raise DamagedMedia("interrupted")
        return encode(self, record)

    monkeypatch.setattr(Adni, "encode", interrupted)
    words = ["prepare", "adni", "--source", adni_source]
    found, _, errors = run(*words)
    assert found == code
    assert errors.startswith("interrupted; what was written before is whole. Resume with\n")
    assert errors.endswith(f"datasets prepare adni --source {adni_source}\n")
    assert signal.getsignal(signal.SIGTERM) == handler
    monkeypatch.setattr(Adni, "encode", encode)
    assert rows_of(run("list")[1])["adni"][-1] == "no"
    found, output, _ = run(*words)
    assert found == 0
    assert "samples: full 45" in output


def test_a_place_that_cannot_be_written_is_an_error_of_the_machine(run, adni_source, tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "data"
    code, _, errors = run("prepare", "adni", "--source", adni_source, "--data-dir", place)
    assert code == 1
    assert errors.startswith("masam datasets prepare: not a directory")
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", ["mfeat", "synthetic:samples=40"])
def test_what_ships_needs_no_preparation(run, name):
    code, output, _ = run("prepare", name)
    assert code == 0
    assert f"{name} ships with the package; there is nothing to prepare" in output
    code, output, _ = run("info", name)
    assert code == 0
    assert "It ships with the package" in output


def test_everything_is_told(run, adni_source):
    assert run("prepare", "adni", "--source", adni_source)[0] == 0
    code, output, errors = run("info", "adni:diagnostic_scores=false")
    assert (code, errors) == (0, "")
    rows = rows_of(output)
    assert rows["tabular"][:3] == ["vector", "38", "float32"]
    assert rows["diagnostic_scores"][:2] == ["false", "true"]
    assert "A missing value is replaced by its column's median" in output
    assert "MASAM .857" in output
    assert "3 classes: CN, MCI, AD" in output
    assert "metric: mAP" in output
    assert Adni.HOMEPAGE in output
    assert Adni.CITATION in output
    assert inspect.cleandoc(Adni.MANUAL_DOWNLOAD_INSTRUCTIONS) in output
    assert "samples: full 45" in output
    assert re.search(r"ADNI_merged\.csv: [0-9a-f]{64}\n", output)
    assert re.search(r"index: sha256 [0-9a-f]{64}\n", output)
    assert "prepared with: fold=0, visit=bl, diagnostic_scores=true" in output


def test_verifying_prints_tables_and_draws_a_sheet(run, adni_source, tmp_path):
    assert run("prepare", "adni", "--source", adni_source)[0] == 0
    code, output, errors = run("verify", "adni")
    assert (code, errors) == (0, "")
    assert "ADNI (adni): 45 of 45 samples read" in output
    rows = rows_of(output)
    assert [int(cell) for cell in rows["samples"]] == [30, 5, 10]
    assert sum(int(rows[name][0]) for name in ("CN", "MCI", "AD")) == 30
    assert rows["mri"][:4] == ["vector", "185", "float32", "0.0 %"]
    assert float(rows["tabular"][4].removesuffix(" %")) > 5
    sheet = tmp_path / "data" / "adni" / "contact_sheet.png"
    assert f"written: {sheet}" in output
    with Image.open(sheet) as picture:
        many = picture.size
    words = ["verify", "adni", "--samples", "6", "--rows", "1", "--sheet", tmp_path / "own.png"]
    code, output, _ = run(*words)
    assert code == 0
    assert "6 of 45 samples read" in output
    with Image.open(tmp_path / "own.png") as picture:
        assert picture.size[0] == many[0]
        assert picture.size[1] < many[1]


def test_verifying_names_damage(run, tmp_path):
    make_any_source("ur_funny", tmp_path / "source")
    name = fixture_spec("ur_funny")
    assert run("prepare", name, "--source", tmp_path / "source")[0] == 0
    place = tmp_path / "data" / "ur_funny" / "1.0.0"
    shard = next(place.glob("*test*"))
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    code, output, errors = run("verify", name)
    assert code == 1
    assert "written: " in output
    assert errors.count(": RuntimeError: ") == 8
    assert "masam datasets verify: 8 of 40 samples are damaged; " in errors
    (place / "metadata.json").write_text("[")
    code, _, errors = run("verify", name)
    assert code == 2
    assert "metadata.json is damaged" in errors
    assert "metadata.json is damaged" in run("info", name)[1]
    (place / "dataset_info.json").write_text("[")
    code, output, _ = run("list")
    assert code == 0
    assert f"ur_funny: what is prepared in {place} is damaged" in output


def test_labels_are_counted_with_their_share(run, tmp_path):
    make_any_source("mimic_mortality", tmp_path / "source")
    name = fixture_spec("mimic_mortality")
    assert run("prepare", name, "--source", tmp_path / "source")[0] == 0
    code, output, _ = run("verify", name, "--samples", "8")
    assert code == 0
    train = rows_of(output)["death"][0]
    count, share = re.fullmatch(r"(\d+) \(([\d.]+) %\)", train).groups()
    total = int(rows_of(output)["samples"][0])
    assert float(share) == pytest.approx(100 * int(count) / total, abs=0.05)


@pytest.mark.parametrize(
    "words, message",
    [
        (["prepare", "crema"], "unknown dataset 'crema'; did you mean 'crema_d'?"),
        (["info", "crema_d:frames=9"], "frames=9 is out of range: expected an integer in [1, 3]"),
        (["verify", "crema_d:frame=1"], "unknown option 'frame'; did you mean 'frames'?"),
        (["verify", "adni"], "adni is not prepared in "),
        (["verify", "mfeat", "--sheet", "sheet.pdf"], "sheet.pdf; it must end in .png"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, words, message):
    code, _, errors = run(*words)
    assert code == 2
    assert errors.startswith("masam datasets ")
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "words, named",
    [
        (["lst"], "lst"),
        (["prepare"], "NAME[:OPTION=VALUE,...]"),
        (["prepare", "adni", "--threads", "0"], "--threads 0 is out of range"),
        (["verify", "adni", "--samples", "-1"], "--samples -1 is out of range"),
        (["verify", "adni", "--rows", "few"], "rows"),
    ],
)
def test_unknown_words_are_refused(run, words, named):
    code, _, errors = run(*words)
    assert code == 2
    assert named in errors


@pytest.mark.parametrize("words", [[], ["list"], ["prepare"], ["info"], ["verify"]])
def test_help(run, words):
    code, output, _ = run(*words, "--help-all")
    assert code == 0
    assert "datasets" in output
    if words and words != ["list"]:
        assert "emotion (6) from speech and face" in output


def test_the_command_is_in_the_list(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    assert "List, prepare, describe and verify data sets." in capsys.readouterr().out


def test_a_terminal_gets_a_bar():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with SampleProgress(console, "toy [1]") as progress:
        for done in range(1, 6):
            progress.update(done, 5)
    assert "toy [1]" in screen.getvalue()
    assert "5/5" in screen.getvalue()


def test_a_file_gets_a_few_lines():
    screen = io.StringIO()
    with SampleProgress(Console(file=screen, width=80), "toy") as progress:
        for done in range(1, 1001):
            progress.update(done, 1000)
    lines = screen.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1] == "toy: 1000/1000"
