"""Commands as a user types them, within this process."""

import pytest

from masam_jax.cli import command_line as cli


@pytest.fixture
def masam(capsys):
    """Runs a command; its output, or its error."""

    def run(*words, code=0):
        try:
            found = cli.main([*map(str, words)])
        except SystemExit as exit_:
            found = exit_.code
        output, errors = capsys.readouterr()
        assert found == code, errors
        assert bool(errors) == bool(code)
        return errors if code else output

    return run
