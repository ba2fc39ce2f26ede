"""The console script ``masam``, and ``python -m masam_jax``."""

import sys


def main() -> int:
    """Runs the command line; without its packages it says what to install, and returns 2."""
    try:
        from masam_jax.cli import command_line
    except ModuleNotFoundError as error:
        print(
            f"error: the command line needs the package {error.name}:"
            " pip install 'masam_jax[train,analysis]'",
            file=sys.stderr,
        )
        return 2
    return command_line.main()


if __name__ == "__main__":
    raise SystemExit(main())
