"""Text on the terminal."""

from rich.console import Console


def print_plain(console: Console, text: str) -> None:
    """Text as it is: no colours, no line breaks of its own."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
