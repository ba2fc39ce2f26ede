"""What tests of commands have in common: small runs, and how a command ended."""

from masam_jax.cli import command_line as cli

SMALL = [
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "40"),
    *("--test-size", "40", "--batch-size", "12", "--width", "4", "--steps", "6"),
    *("--seeds", "2", "--log-every", "2", "--evaluate-every", "2", "--checkpoint-every", "2"),
]


def end_of(capsys, *words):
    """Exit code and standard error of a command."""
    try:
        code = cli.main(list(words))
    except SystemExit as exit_:
        code = exit_.code
    return code, capsys.readouterr().err


def flat(text):
    """The same on one line."""
    return " ".join(text.split())
