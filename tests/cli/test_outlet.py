"""Streams that are closed, full, or spell few letters."""

import io
import os
import subprocess
import sys

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli.outlet import spell_what_it_can
from tests.quick_compilation import child_environment

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shells of POSIX")


def _shell(line, **environment):
    return subprocess.run(
        ["sh", "-c", line.replace("masam", f"{sys.executable} -m masam_jax")],
        capture_output=True,
        env=child_environment() | environment,
        check=False,
    )


@pytest.mark.parametrize("line", ["masam --version >&-", "masam train --help >&- 2>&-"])
def test_closed_streams_are_no_error(line):
    done = _shell(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_version_that_nobody_reads_is_no_error():
    done = _shell("(sleep 0.1; masam --version; echo $? >&2) | true")
    assert done.stderr == b"0\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("words", ["--version", "train --help"])
def test_a_full_disk_under_the_output_is_one_line(words):
    done = _shell(f"masam {words} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"masam")
    assert b": no space left on device\n" in done.stderr
    assert b"Traceback" not in done.stderr


def test_letters_that_the_terminal_lacks_become_question_marks(monkeypatch):
    """An error in the middle of a table would cost the report after it."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit):
        cli.main(["train", "--help-all"])
    text = written.getvalue().decode("ascii")
    assert "fusion loss + ? " in text
    assert "--process-id" in text


def test_other_streams_stay_as_they_are():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    spell_what_it_can(stream)
    assert stream.errors == "strict"
    spell_what_it_can(io.StringIO())
