"""What the page says, in which order; with names that are markup, and with many of them."""

import html
import re

import pytest

from tests.diagnosis.made_up_page import write_made_up_page

QUESTIONS = [
    "Is fusion worth it?",
    "Who is drowned?",
    "Who drowns?",
    "Where does it come from?",
    "Who overfits?",
    "What helps here?",
]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_made_up_page(tmp_path_factory.mktemp("page")).read_text(encoding="utf-8")


def test_questions_are_answered_in_their_order(text):
    headings = [html.unescape(each) for each in re.findall(r"<h2>(.*?)</h2>", text)]
    assert headings[: len(QUESTIONS)] == QUESTIONS
    assert text.count("<figure") == 7
    verdict = re.search(r'<p class="headline">(.*?)</p>', text)[1]
    assert "video is drowned: a linear probe on the encoder of video gets 60.0 %" in verdict
    assert "masam compare --methods fusion_only late_fusion --dataset synthetic" in text


def test_nothing_is_asked_of_the_network(text):
    assert not re.search(r"(src|href)=\"https?:", text)
    ids = re.findall(r"\bid=\"([^\"]+)\"", text)
    assert len(ids) == len(set(ids))


def test_many_modalities_and_names_that_are_markup(tmp_path):
    names = tuple(sorted(["<b>bold</b>", "$x_1$", *(f"sensor_{i:02d}" for i in range(12))]))
    text = write_made_up_page(tmp_path, names).read_text(encoding="utf-8")
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "sensor_11 is drowned" in text
