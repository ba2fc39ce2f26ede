"""Contact sheets: what is drawn where, without overlap."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from masam_jax.analysis.contact_sheet import contact_sheet, write_contact_sheet
from masam_jax.analysis.sample_panels import Scale, panel_aspect, printable
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.data.sample_statistics import RunningStatistics
from masam_jax.data.verification import ShownSample, Verification

CLASSES = ("quiet_one", "loud_one", "Complications of surgical procedures or medical care")
SPECS = {
    "face": Modality("frames", (3, 12, 16, 3), np.uint8, IMAGENET),
    "scan": Modality("image", (9, 6, 1), np.uint8, Normalization("scalar")),
    "sound": Modality("spectrogram", (20, 30, 1)),
    "table": Modality("vector", (7,)),
    "title": Modality("tokens", (5,), np.int32, Normalization("none"), 9),
    "words": Modality("sequence", (6, 4)),
}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "apple", "pie", "##s", "$x$", "饭")


def make_sample(number):
    numbers = np.random.default_rng(number)
    mask = np.arange(6) < 2 + number % 4
    return {
        "face": numbers.integers(0, 256, (3, 12, 16, 3)).astype(np.uint8),
        "scan": numbers.integers(0, 17, (9, 6, 1)).astype(np.uint8),
        "sound": numbers.normal(size=(20, 30, 1)).astype(np.float32),
        "table": numbers.normal(100, 5, 7).astype(np.float32),
        "title": {"tokens": np.array([2, 4, 5, 6, 3], np.int32), "mask": np.ones(5, bool)},
        "words": {
            "values": (numbers.normal(size=(6, 4)) * mask[:, None]).astype(np.float32),
            "mask": mask,
        },
    }


def make_verification(samples, *, labels=None, part=lambda row: "train" if row < 3 else "test"):
    running = {name: RunningStatistics(spec) for name, spec in SPECS.items()}
    for sample in samples:
        for name, each in running.items():
            each.add(sample.get(name))
    rows = range(len(samples))
    labels = [row % 3 for row in rows] if labels is None else labels
    parts = {name: np.array([r for r in rows if part(r) == name]) for name in map(part, rows)}
    return Verification(
        total=len(samples),
        read=len(samples),
        parts=parts,
        counts={},
        statistics={name: each.result() for name, each in running.items()},
        nan_shares={},
        problems=(),
        examples=tuple(
            ShownSample(
                part(row), f"sample_{row:04d}_of_a_very_long_name_indeed", labels[row], sample
            )
            for row, sample in enumerate(samples)
        ),
    )


@pytest.fixture(scope="module")
def found():
    return make_verification([make_sample(row) for row in range(5)])


@pytest.fixture(scope="module")
def drawn(found):
    figure = contact_sheet("Toy", found, CLASSES, WORDS).figure
    FigureCanvasAgg(figure).draw()
    return figure


def panels(figure, column):
    """Axes of a modality, from top to bottom."""
    lefts = sorted({round(ax.get_position().x0, 6) for ax in figure.axes})
    mine = [ax for ax in figure.axes if round(ax.get_position().x0, 6) == lefts[column]]
    return sorted(mine, key=lambda ax: -ax.get_position().y0)


def test_a_row_a_sample_and_a_column_a_modality(drawn):
    assert len(drawn.axes) == 5 * len(SPECS)
    assert all(len(panels(drawn, column)) == 5 for column in range(len(SPECS)))


def test_nothing_overlaps_and_all_is_on_the_page(drawn):
    renderer = drawn.canvas.get_renderer()
    boxes = [ax.get_window_extent(renderer) for ax in drawn.axes]
    boxes += [text.get_window_extent(renderer) for text in drawn.texts]
    width, height = drawn.bbox.width, drawn.bbox.height
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    for one, other in itertools.combinations(boxes, 2):
        # Descenders of a line may touch the line below by less than a pixel.
        apart = (
            one.x1 <= other.x0 + 1
            or other.x1 <= one.x0 + 1
            or one.y1 <= other.y0 + 1
            or other.y1 <= one.y0 + 1
        )
        assert apart, (one, other)


def test_text_of_panels_stays_inside(found):
    sample = make_sample(0)
    sample["title"]["tokens"] = np.full(5, 4, np.int32)
    many = make_verification([sample])
    # As long as a title gets, of wide words.
    words = ["W" * 39] * len(WORDS)
    figure = contact_sheet("Toy", many, CLASSES, words).figure
    FigureCanvasAgg(figure).draw()
    panel = panels(figure, 4)[0]
    (text,) = panel.texts
    assert len(text.get_text().split("\n")) == 5
    inside, outside = text.get_window_extent(), panel.get_window_extent()
    assert inside.y0 >= outside.y0
    assert inside.y1 <= outside.y1


def test_labels_name_part_class_and_sample(drawn):
    texts = [text.get_text() for text in drawn.texts]
    assert texts.count("train (3)") == 1
    assert texts.count("test (2)") == 1
    assert texts.count("quiet one") == 2
    assert sum(text.startswith("sample_0003") for text in texts) == 1
    assert all(len(text) <= 26 for text in texts if text.startswith("sample_"))
    assert set(SPECS) <= set(texts)


def test_low_frequencies_are_at_the_bottom(drawn, found):
    for panel, example in zip(panels(drawn, 2), found.examples, strict=True):
        (image,) = panel.images
        assert image.origin == "lower"
        np.testing.assert_array_equal(image.get_array(), example.sample["sound"][..., 0])
        assert panel.get_ylim()[0] < panel.get_ylim()[1]


def test_colours_stand_for_the_same_in_all_samples(drawn, found):
    limits = {panel.images[0].get_clim() for panel in panels(drawn, 2)}
    assert limits == {(found.statistics["sound"].least, found.statistics["sound"].most)}


def test_pictures_keep_their_shape(drawn):
    for column, (height, width) in ((0, (12, 3 * 16 + 2)), (1, (9, 6))):
        for panel in panels(drawn, column):
            assert panel.get_aspect() == 1.0
            assert panel.images[0].get_array().shape[:2] == (height, width)
    assert panel_aspect(SPECS["scan"]) == 6 / 9
    assert panel_aspect(SPECS["sound"]) is None


def test_of_many_frames_some_are_shown():
    spec = Modality("frames", (10, 4, 4, 3), np.uint8, IMAGENET)
    assert 4 < panel_aspect(spec) < 4.2


def test_vectors_are_in_standard_deviations(found):
    statistics = found.statistics["table"]
    values = np.stack([example.sample["table"] for example in found.examples]).astype(np.float64)
    expected = (values - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(Scale(statistics)(values), expected, rtol=1e-9)


def test_a_constant_feature_is_zero():
    running = RunningStatistics(Modality("vector", (1,)))
    for _ in range(3):
        running.add(np.array([4.0], np.float32))
    np.testing.assert_array_equal(Scale(running.result())(np.array([4.0])), [0.0])


def test_steps_that_are_not_real_are_blank(drawn, found):
    for panel, example in zip(panels(drawn, 5), found.examples, strict=True):
        blank = np.ma.getmaskarray(panel.images[0].get_array())
        expected = np.broadcast_to(~example.sample["words"]["mask"], (4, 6))
        np.testing.assert_array_equal(blank, expected)


def test_tokens_are_words_where_they_are_known(found):
    known = panels(contact_sheet("Toy", found, CLASSES, WORDS).figure, 4)[0]
    assert known.texts[0].get_text() == "apple pies"
    numbers = panels(contact_sheet("Toy", found, CLASSES).figure, 4)[0]
    assert numbers.texts[0].get_text() == "2 4 5 6 3"


def test_text_is_taken_literally():
    sample = make_sample(0)
    sample["title"]["tokens"] = np.array([7, 8, 4, 4, 4], np.int32)
    figure = contact_sheet("Toy $1$", make_verification([sample]), CLASSES, WORDS).figure
    FigureCanvasAgg(figure).draw()
    assert panels(figure, 4)[0].texts[0].get_text() == "$x$ □ apple apple apple"
    assert printable("crème, ρ") == "crème, ρ"


def test_a_missing_modality_says_so():
    sample = make_sample(0)
    del sample["sound"]
    figure = contact_sheet("Toy", make_verification([sample, make_sample(1)]), CLASSES).figure
    first, second = panels(figure, 2)
    assert [text.get_text() for text in first.texts] == ["missing"]
    assert not first.images
    assert second.images


def test_a_modality_that_all_lack_is_drawn_too():
    sample = make_sample(0)
    for name in ("table", "sound", "words", "scan"):
        del sample[name]
    figure = contact_sheet("Toy", make_verification([sample]), CLASSES).figure
    FigureCanvasAgg(figure).draw()
    for column in (1, 2, 3, 5):
        assert panels(figure, column)[0].texts[0].get_text() == "missing"


def test_several_labels_are_counted_and_named():
    labels = [np.array([1, 0, 1]), np.array([0, 0, 0]), np.array([0, 1, 0])]
    found = make_verification([make_sample(row) for row in range(3)], labels=labels)
    texts = [t.get_text() for t in contact_sheet("Toy", found, CLASSES).figure.texts]
    assert "2 of 3: quiet one," in texts
    assert "no label" in texts
    assert "loud one" in texts


def test_the_file_has_the_size_of_the_page(found, tmp_path):
    path = write_contact_sheet(tmp_path / "new" / "sheet.png", "Toy", found, CLASSES, WORDS)
    assert path == tmp_path / "new" / "sheet.png"
    inches = contact_sheet("Toy", found, CLASSES, WORDS).figure.get_size_inches()
    with Image.open(path) as picture:
        assert np.abs(np.array(picture.size) - 150 * inches).max() <= 1
    content = path.read_bytes()
    write_contact_sheet(path, "Toy", found, CLASSES, WORDS)
    assert path.read_bytes() == content, "the same samples give the same bytes"


def test_another_format_is_refused(found, tmp_path):
    with pytest.raises(ValueError, match=r"sheet\.jpg; it must end in \.png"):
        write_contact_sheet(tmp_path / "sheet.jpg", "Toy", found, CLASSES)


def test_without_samples_there_is_no_sheet():
    with pytest.raises(ValueError, match="Toy: there is no sample to show"):
        contact_sheet("Toy", make_verification([]), CLASSES)


def test_a_panel_has_no_ticks(drawn):
    assert all(len(ax.get_xticks()) == len(ax.get_yticks()) == 0 for ax in drawn.axes)
