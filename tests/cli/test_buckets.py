"""``--output gs://…``: trained, interrupted, gone on with and read from a bucket."""

import shutil

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.training.storage.buckets import run_copy
from masam_jax.training.storage.buckets.bucket import Bucket, BucketError
from masam_jax.training.storage.buckets.lease import Lease

SMALL = [
    *("--dataset", "synthetic:samples=90", "--seeds", "1", "--steps", "4", "--train-size", "20"),
    *("--validation-size", "20", "--test-size", "20", "--batch-size", "10", "--width", "4"),
    *("--log-every", "2", "--evaluate-every", "2", "--checkpoint-every", "2", "--no-plots"),
    *("--loggers", "csv"),
]
TRAIN = ["train", "--method", "late_fusion", *SMALL]
RUN = "gs://ours/runs/first"


def _forget_locally():
    shutil.rmtree(run_copy.copies_folder())


def test_a_run_on_one_machine_then_another(memory_buckets, tmp_path, capsys):
    bucket, local = Bucket(RUN), tmp_path / "local"
    assert cli.main([*TRAIN, "--output", str(local)]) == 0
    assert cli.main([*TRAIN, "--output", RUN]) == 0
    written = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
    # Orbax names its data by chance.
    ours, theirs = ({n for n in names if "/d/" not in n} for names in (bucket.names(), written))
    assert ours == theirs - {".lock"} | {".lease"}
    _forget_locally()
    # Longer, with the options that it was begun with, by who has nothing of it.
    assert cli.main(["train", "--resume", RUN, "--steps", "6", "--no-plots"]) == 0
    assert cli.main(["train", "--resume", str(local), "--steps", "6", "--no-plots"]) == 0
    assert "6" in {name.split("/")[1] for name in bucket.names() if name.startswith("checkpoints")}
    capsys.readouterr()
    tables = []
    for number, run in enumerate((RUN, str(local))):
        table = tmp_path / f"{number}.csv"
        assert cli.main(["evaluate", run, "--predictions", str(table)]) == 0
        tables.append(table.read_bytes())
    # Bit for bit what it is in a directory.
    assert tables[0] == tables[1]
    assert bucket.read("metrics.jsonl") == (local / "metrics.jsonl").read_bytes()


def test_refusals(memory_buckets, capsys):
    bucket = Bucket(RUN)
    bucket.write("thesis.tex", b"years of work")

    def refused(words, *parts):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        for part in parts:
            assert part in said
        assert len(said.splitlines()) == 1

    refused([*TRAIN, "--output", RUN], f"{RUN} is not a run directory of masam_jax")
    refused([*TRAIN, "--output", RUN, "--overwrite"], f"{RUN} is not a run directory")
    assert bucket.names() == ["thesis.tex"]
    refused([*TRAIN, "--output", f"{RUN}2", "--resume"], f"{RUN}2 holds no run to resume")
    refused(["train", "--resume", f"{RUN}2"], f"{RUN}2 holds no run")
    refused(["evaluate", f"{RUN}2"], f"{RUN}2 holds no run")
    refused(["export", RUN], "is in a bucket; --output")
    refused(["tune", "--output", RUN], "masam tune needs a local directory for --output")
    refused([*TRAIN, "--output", "gs://ours"], "gs://ours is no path of a run in a bucket")
    for words in (["measure", RUN], ["report", "runs/a", RUN], ["runs", RUN]):
        refused(words, f"{RUN} is in a bucket; a local path is needed here")
    refused(["evaluate", "a", "--predictions", f"{RUN}.csv"], f"{RUN}.csv is in a bucket; a local")
    refused([*TRAIN, "--output", "az://ours/a"], "az://ours/a is no directory, and no path gs://")
    Lease(Bucket(f"{RUN}3"))
    refused([*TRAIN, "--output", f"{RUN}3"], f"{RUN}3 is in use by process")
    refused([*TRAIN, "--output", "gs://ours/runs"], f"has another run below it, {RUN}3;")


@pytest.mark.parametrize("missing", ["--resume", "--overwrite"])
def test_a_run_that_is_there(memory_buckets, capsys, missing):
    assert cli.main([*TRAIN, "--output", RUN]) == 0
    capsys.readouterr()
    assert cli.main([*TRAIN, "--output", RUN]) == 2
    assert f"{RUN} holds a run already: --resume goes on with it" in capsys.readouterr().err
    _forget_locally()
    bucket = Bucket(RUN)
    bucket.write("checkpoints/1/left", b"by who was killed")
    assert cli.main([*TRAIN, "--output", RUN, missing]) == 0
    assert "checkpoints/1/left" not in bucket.names()
    assert bucket.read("result.json") is not None


def test_a_mistake_removes_nothing(memory_buckets, capsys):
    # Called as the file beside it on this machine.
    run = "gs://ours/runs/session"
    assert cli.main([*TRAIN, "--output", run]) == 0
    before = Bucket(run).names()
    for mistake in (["--method", "nosuch"], ["--batch-size", "1000"]):
        assert cli.main([*TRAIN, *mistake, "--output", run, "--overwrite"]) == 2
    assert Bucket(run).names() == before


def test_a_bucket_that_is_not_there(memory_buckets, capsys):
    memory_buckets.failure = FileNotFoundError("The specified bucket does not exist")
    assert cli.main([*TRAIN, "--output", RUN]) == 1
    said = capsys.readouterr().err
    assert "The specified bucket does not exist" in said
    assert "--resume" not in said  # Nothing is there.


def test_a_bucket_that_is_lost(memory_buckets, capsys, monkeypatch):
    real = Bucket.upload

    def fail(self, name, path, between):
        if name.startswith("checkpoints"):
            raise BucketError(f"{self.uri}/{name}: OSError: away")
        real(self, name, path, between)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "upload", fail)
        assert cli.main([*TRAIN, "--output", RUN]) == 1
    said = capsys.readouterr().err
    assert "OSError: away. What was written is whole in" in said
    assert f"--output {RUN} --resume" in said
    assert cli.main([*TRAIN, "--output", RUN, "--resume"]) == 0
    assert "checkpoints/4/SHA256SUMS" in Bucket(RUN).names()
