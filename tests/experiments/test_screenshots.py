"""The documentation's pictures of a report."""

import pytest
from PIL import Image

from experiments.screenshots import main
from tests.analysis.demo_report import write_demo_report


def test_pictures_are_light_and_dark(tmp_path, browser):
    light, dark = map(Image.open, main({"made_up": write_demo_report(tmp_path)}, tmp_path))
    assert light.size == dark.size
    assert light.width == 1200
    assert sum(light.getpixel((0, 0))[:3]) > 600 > 200 > sum(dark.getpixel((0, 0))[:3])


def test_a_report_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.html is no file; make demo writes"):
        main({"report": tmp_path / "nothing.html"}, tmp_path)
