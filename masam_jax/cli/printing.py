"""Text on the terminal."""

from rich.console import Console


def print_plain(console: Console, text: str) -> None:
    """Text as it is: no colours, no line breaks of its own."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and what it counts.

    Examples:
      >>> counted(1, "seed"), counted(2, "modality", "modalities")
      ('1 seed', '2 modalities')
    """
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
