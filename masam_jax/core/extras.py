"""Packages that only some folders need: which extra brings them, and how it is installed."""

from collections.abc import Iterator
from contextlib import contextmanager

# An error that has it says already which extra brings the package.
_TOLD = "masam_jax_extra"


def install_extras(*extras: str) -> str:
    """What to type, in a sentence's end.

    Examples:
      >>> print(install_extras("train", "analysis"))
      pip install '.[train,analysis]' in a clone of masam_jax, which is on no package index yet
    """
    listed = ",".join(extras)
    return f"pip install '.[{listed}]' in a clone of masam_jax, which is on no package index yet"


@contextmanager
def needs(room: str, *extras: str) -> Iterator[None]:
    """Around imports: a package that is missing is named with the extra that brings it.

    Args:
      room: what is imported, such as ``"masam_jax.models"``.
      extras: of the package, as ``pyproject.toml`` names them.

    Raises:
      ModuleNotFoundError: a package is missing; one of masam_jax itself is no matter of extras.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if hasattr(error, _TOLD):  # By what knows better.
            raise
        package = (error.name or "").partition(".")[0]
        if package == "masam_jax":
            raise
        told = ModuleNotFoundError(
            f"{room} needs the package {package}: {install_extras(*extras)}", name=error.name
        )
        setattr(told, _TOLD, True)
        raise told from None
