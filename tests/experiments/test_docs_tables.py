"""What experiments found, put into a page."""

import pytest

from experiments.docs_tables import fill

FOUND = """# Which?

On digits it is this.

> None of the data is prepared in /home/x, so this runs on others.

## First

| a |
| :-- |
| 1 |

Caption.

## Second

| b |

![A curve](plots/curve.png)

![Another](plots/other.png)
"""


@pytest.fixture
def output(tmp_path):
    place = tmp_path / "output" / "small"
    (place / "plots").mkdir(parents=True)
    (place / "tables.md").write_text(FOUND, encoding="utf-8")
    for name in ("curve", "other"):
        (place / "plots" / f"{name}.png").write_bytes(name.encode())
    return tmp_path / "output"


def test_a_block_shows_what_it_names(output, tmp_path):
    page = "Before.\n\n<!-- found by small: Second; A curve -->\nold\n<!-- end -->\n\nAfter.\n"
    filled = fill(page, output, tmp_path)
    assert filled == (
        "Before.\n\n<!-- found by small: Second; A curve -->\n\n> On digits it is this.\n\n"
        "**Second**\n\n| b |\n\n![A curve](experiments/small-curve.png)\n\n<!-- end -->\n\nAfter.\n"
    )
    assert (tmp_path / "experiments" / "small-curve.png").read_bytes() == b"curve"
    assert not (tmp_path / "experiments" / "small-other.png").exists()
    assert fill(filled, output, tmp_path) == filled


def test_a_block_without_names_shows_everything(output, tmp_path):
    filled = fill("<!-- found by small -->\n<!-- end -->", output, tmp_path)
    for text in ("**First**\n\n| a |", "Caption.", "**Second**", "small-other.png"):
        assert text in filled
    assert "/home/x" not in filled


def test_what_was_not_run_stays(output, tmp_path):
    page = "<!-- found by another -->\nold\n<!-- end -->"
    assert fill(page, output, tmp_path) == page


def test_a_title_that_is_not_there_is_named(output, tmp_path):
    with pytest.raises(ValueError, match="small has no table or picture 'Third'; it has"):
        fill("<!-- found by small: Third -->\n<!-- end -->", output, tmp_path)
