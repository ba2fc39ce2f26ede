import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from masam_jax.analysis.palette import INK, THEME
from masam_jax.analysis.themed_svg import theme_css, themed_svg

HOSTILE = ["<script>alert(1)</script>", "--><b>x</b>", "]]>", '$x_1$ &amp; "q" \'']


def _figure(names=("plain",)):
    figure = Figure()
    ax = figure.subplots()
    ax.fill_between([0, 1], [0, 1], [1, 2], color="#0072B2", alpha=0.2)
    for place, name in enumerate(names):
        ax.text(0, place, name, color=INK, parse_math=False)
    return figure


def test_colours_are_those_of_the_page():
    svg = themed_svg(_figure(), "p0")
    assert "var(--plot-ink)" in svg
    assert "fill: var(--plot-1)" in svg
    # Matplotlib's own black is left out, and so inherits the page's ink.
    assert not set(re.findall(r"#[0-9a-f]{6}", svg)) & set(THEME)
    assert re.match(r'<svg viewBox="[^"]+" style="fill: var\(--plot-ink\)"', svg)


def test_it_is_well_formed_whole_and_without_addresses():
    svg = themed_svg(_figure(HOSTILE), "p0")
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert {element.tag for element in root.iter()} <= {
        "svg",
        "g",
        "path",
        "defs",
        "use",
        "clipPath",
        "rect",
    }
    assert "alert" not in svg
    assert "<!--" not in svg
    assert "<style" not in svg
    assert "http" not in svg
    assert "width=" not in svg.split(">")[0]


def test_two_drawings_of_a_page_share_no_id():
    found = [set(re.findall(r' id="([^"]+)"', themed_svg(_figure(), p))) for p in ("p0", "p1")]
    assert found[0]
    assert not found[0] & found[1]
    svg = themed_svg(_figure(), "p0")
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    assert used
    assert {a or b for a, b in used} <= found[0]
    assert svg == themed_svg(_figure(), "p0")


def test_every_colour_has_a_light_and_a_dark_value():
    for dark in (False, True):
        names = re.findall(r"--([\w-]+): #[0-9a-f]{6};", theme_css(dark=dark))
        assert names == [entry.name for entry in THEME.values()]
