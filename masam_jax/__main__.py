"""The console script ``masam``, and ``python -m masam_jax``."""

import logging
import os
import sys
import warnings

from masam_jax import __version__
from masam_jax.cli.outlet import patient
from masam_jax.core.extras import needs


def main() -> int:
    """Runs the command line; without its packages it says what to install, and returns 2.

    ``--version`` needs none of them.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by the shell, as in masam ... >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if "--version" in sys.argv[1:]:
        try:
            with patient(sys.stdout):
                print(f"masam_jax {__version__}", flush=True)
        except OSError as error:
            print(f"masam: {(error.strerror or str(error)).lower()}", file=sys.stderr)
            return 1
        return 0
    try:
        with needs("the command line", "train", "analysis"):
            from masam_jax.cli import command_line
    except ModuleNotFoundError as error:
        print(f"masam: {error}", file=sys.stderr)
        return 2
    code = command_line.main()
    if code == 1:  # The error was said, and is the last word.
        logging.getLogger("asyncio").disabled = True
        warnings.simplefilter("ignore")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
