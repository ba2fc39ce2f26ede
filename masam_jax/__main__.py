"""``python -m masam_jax``, the same as the console script ``masam``."""

from masam_jax.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
