"""Every mistake looks the same: ``masam COMMAND: what it is; what is accepted, or the cure``."""

import re

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli import mistakes, tyro_reading
from masam_jax.cli import train as train_command
from masam_jax.cli.commands import Train
from masam_jax.cli.options import command_options

STYLE = re.compile(
    r"masam(?P<command>( (train|compare|tune|evaluate|runs|datasets|list|prepare|info|describe"
    r"|verify))*): "
    r"(?P<what>[^A-Z\n│╭─].*?)(; | \(known: |: | is not (a|host|of the form)|: it is ).+[^.\n]\n"
)

# A command, and what is said of it; ``error: `` or a box of tyro's was around most of them.
MISTAKES = {
    "trian": "unknown command 'trian'; did you mean 'train'? (known: train, ",
    "--steps 3 train": "--steps comes before a command; expected one of train, ",
    "datasets infos": "unknown command 'infos'; did you mean 'info'? (known: list, ",
    "train --lr 3": "unknown option --lr; did you mean --learning-rate? --help-all lists them",
    "train --batchsize 4": "unknown option --batchsize; did you mean --batch-size? ",
    "train --batch_sice=4": "unknown option --batch_sice; did you mean --batch-size? ",
    "train --augment": "unknown option --augment; did you mean --no-augment? ",
    "train --zzzz": "unknown option --zzzz; --help-all lists them",
    "train -x": "unknown option -x; --help-all lists them",
    "tune --seeds 2": "unknown option --seeds; did you mean --tune-seeds? ",
    "datasets verify adni --sample 2": "unknown option --sample; did you mean --samples? ",
    "train --steps": "--steps needs a value; expected an integer",
    "train --steps --seeds 3": "--steps needs a value; expected an integer",
    "train --output": "--output needs a value; expected a word",
    "train --steps many": "--steps 'many' cannot be read; expected an integer",
    "train --steps=1e3": "--steps '1e3' cannot be read; expected an integer",
    "train --train-size few": "--train-size 'few' cannot be read; expected an integer, or none",
    "train --learning-rate fast": "--learning-rate 'fast' cannot be read; expected a number",
    "train --report lst": "--report 'lst' is unknown; did you mean 'last'? expected one of last, ",
    "train --no-plots=yes": "--no-plots takes no value, and 'yes' was given; leave it out",
    "train --resume=yes": "yes is no directory; expected a run directory",
    "train surplus": "unexpected word 'surplus'; a value belongs after its option, ",
    "evaluate": "missing RUN; run directory: of masam train, of masam compare, ",
    "datasets info": "missing NAME[:OPTION=VALUE,...]; data set and options, as in crema_d",
    "train --steps 0": "--steps 0 is out of range; expected an integer >= 1",
    "train --learning-rate -1": "--learning-rate -1.0 is out of range; expected a finite number",
    "train --seeds 99999999999": "--seeds 99999999999 is out of range; expected an integer in [1, ",
    "tune --tune-seeds 99999999999": "--tune-seeds 99999999999 is out of range; expected an ",
    "tune --trials 0": "--trials 0 is out of range; expected an integer >= 1",
    "datasets prepare adni --threads 0": "--threads 0 is out of range; expected an integer >= 1",
    "train --encoders pix": "--encoders: 'pix' is not of the form MODALITY=VALUE",
    "train --encoders pix=nope": "modality 'pix': unknown encoder 'nope' (known: mlp, ",
    "train --weights nope=x": "--weights: unknown modality 'nope' (known: fac, ",
    "train --missing-at-test a": "--missing-at-test names ['a']; the modalities are ['fac', ",
    "train --resume": "--resume needs --output: the run directory to go on with",
    "train --resume --overwrite --output x": "--resume and --overwrite exclude each other; leave ",
    "train --steps 3 --epochs 2": "--steps 3 and --epochs 2 exclude each other; leave one",
    "train --coordinator-address x": "--coordinator-address 'x' is not host:port",
    "train --coordinator-address x:1 --num-processes 2": (
        "several processes need --output, the same for all, and this is one of 2; where they are"
        " runs of their own, give --cluster none"
    ),
    "train --method masm": "unknown method 'masm'; did you mean 'masam'? (known: agm, ",
    "train --loggers wndb": "unknown logger 'wndb'; did you mean 'wandb'? (known: csv, mlflow, ",
    "train --method zzz": "unknown method 'zzz' (known: agm, ",
    "train --method masam:roh=1": "method 'masam:roh=1': unknown option 'roh'; did you mean 'rho'?",
    "compare --methods masam masam": "method 'masam' is given twice; once is enough",
    "compare --methods @no": "'@no': there is no no; a finished masam tune leaves one behind",
    "train --dataset mfeet": "unknown dataset 'mfeet'; did you mean 'mfeat'? (known: adni, ",
    "datasets info mfeet": "unknown dataset 'mfeet'; did you mean 'mfeat'? (known: adni, ",
    "train --dataset food101": "data set 'food101' is not prepared in ",
    "datasets verify food101": "food101 is not prepared in ",
    "train --batch-size 101": "--batch-size is 101; with 100 training rows it must lie in 1..100",
    "runs nowhere": "nowhere is no directory; expected one that holds runs",
    "evaluate nowhere": "nowhere is no directory; expected a run directory",
    "evaluate .": ". is not a run directory of masam_jax: it has no config.json",
    "train --output /dev/null": "/dev/null is a file; a directory is needed",
    "evaluate . --predictions /no/p.csv": "/no/p.csv cannot be written: no such file or directory",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_every_mistake_looks_the_same(capsys, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path / "data"))
    assert cli.main(line.split()) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    said = STYLE.fullmatch(errors)
    assert said is not None, errors
    command = line.split()[: 2 if line.startswith("datasets") else 1]
    assert set(said["command"].split()) <= set(command)
    assert errors.partition(": ")[2].startswith(MISTAKES[line])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error, code, said",
    [
        (PermissionError(13, "", "a/b"), 1, "masam train: permission denied: a/b\n"),
        (OSError(28, ""), 1, "masam train: no space left on device\n"),
        (
            ModuleNotFoundError("No module named 'orbax'", name="orbax.checkpoint"),
            2,
            "masam train: this needs the package orbax: pip install '.[train,analysis]' in ",
        ),
    ],
)
def test_what_fails_later_looks_the_same(capsys, tmp_path, monkeypatch, error, code, said):
    def fail(*arguments):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_command, "_plan", fail)
    assert cli.main(["train"]) == code
    assert capsys.readouterr().err.startswith(said)


def test_without_tyros_hook_its_box_becomes_the_line(capsys, monkeypatch):
    """The hook is not public; a later tyro may be without."""
    monkeypatch.delattr(tyro_reading.tyro, "_errors")
    assert cli.main(["train", "--steps", "0"]) == 2
    assert capsys.readouterr().err == (
        "masam train: --steps 0 is out of range; expected an integer >= 1\n"
    )


@pytest.mark.parametrize(
    "box, line",
    [
        (
            "╭─ Value ─╮\n│ Error parsing a.b: rows of │\n│ two lines │\n│ ─── │\n│ see │\n╰──╯\n",
            "",
        ),
        (" Value error \n --- \n  Error parsing a.b: rows of \n  two lines \n  --- \n  see \n", ""),
        ("rows of\ntwo lines", ""),
        ("", "not understood"),
    ],
)
def test_boxes_become_a_line(box, line):
    assert mistakes.flattened(box) == (line or "rows of two lines")


def test_words_that_are_accepted_have_no_mistake():
    options = command_options(Train)
    words = ["--input-noise", "-5", "--missing-at-test", "fac", "fou", "--seeds=3", "--no-augment"]
    assert mistakes.first_mistake(options, words) is None
    assert mistakes.first_mistake(options, [*words, "--patience", "None"]) is None
