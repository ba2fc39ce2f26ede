"""Folders: media that a table names, and the ``dataset.toml`` that says what is what."""

import numpy as np
import pytest

from masam_jax.data.own.describing import write_description
from masam_jax.data.own.opening import open_own
from masam_jax.data.own.options import OwnOptions
from tests.data.own.media_files import write_media
from tests.data.own.small_files import small_arrays, small_columns, write_csv

BY_SPECIES = OwnOptions(label="species")


def test_media_are_known_by_their_endings(tmp_path):
    folder = tmp_path / "clips"
    columns = write_media(folder)
    columns["photo"][5] = ""
    write_csv(folder / "clips.csv", columns)
    data = open_own(str(folder), BY_SPECIES).data
    assert data.name == "clips"
    assert {m: (spec.kind, spec.shape) for m, spec in data.modality_specs.items()} == {
        "caption": ("tokens", (8,)),
        "photo": ("image", (64, 64, 3)),
        "sound": ("spectrogram", (64, 198, 1)),
        "trace": ("sequence", (5, 2)),
    }
    np.testing.assert_array_equal(np.flatnonzero(~data.present["photo"]), [5])
    trace = np.load(folder / "trace_4.npy")
    np.testing.assert_allclose(data.features["trace"]["values"][4, :4], trace, rtol=1e-6)
    assert data.features["trace"]["mask"].sum(axis=1).tolist() == [3, 4, 5] * 4


def test_a_film(tmp_path):
    av = pytest.importorskip("av")
    for row in range(4):
        with av.open(str(tmp_path / f"{row}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=1)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            for shade in range(4):
                pixels = np.full((32, 32, 3), 40 * shade + row, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    columns = {"label": ["a", "b"] * 2, "film": [f"{row}.mp4" for row in range(4)], "x": range(4)}
    write_csv(tmp_path / "films.csv", columns)
    data = open_own(str(tmp_path), OwnOptions()).data
    assert data.modality_specs["film"].shape == (3, 64, 64, 3)
    assert np.ptp(data.features["film"][0].mean(axis=(1, 2, 3))) > 20


def test_what_is_written_is_what_is_read(tmp_path):
    folder = tmp_path / "clips"
    write_media(folder)
    guessed = open_own(str(folder), BY_SPECIES).data
    toml, _ = write_description(str(folder), BY_SPECIES)
    assert toml == folder / "dataset.toml"
    for place in (folder, toml, folder / "clips.csv"):
        assert open_own(str(place), OwnOptions()).data.digest() == guessed.digest()
    smaller = toml.read_text().replace('column = "photo"', 'column = "photo"\nsize = 16')
    toml.write_text(smaller.replace('column = "sound"', 'column = "sound"\nrate = 8000\nseconds=1'))
    specs = open_own(str(folder), OwnOptions()).data.modality_specs
    assert specs["photo"].shape == (16, 16, 3)
    assert specs["sound"].shape == (33, 98, 1)


def test_columns_are_written_as_a_pattern(tmp_path):
    write_csv(tmp_path / "trees.csv", small_columns())
    options = OwnOptions(label="species", group="patient", test=0.3)
    toml, doubts = write_description(str(tmp_path / "trees.csv"), options)
    assert doubts == ()
    assert toml.read_text().splitlines()[1:] == [
        'table = "trees.csv"',
        'label = "species"',
        'group = "patient"',
        "",
        "[parts]",
        "test = 0.3",
        "",
        "[modalities.sensor]",
        'kind = "vector"',
        'columns = ["sensor_*"]',
        "",
        "[modalities.face]",
        'kind = "vector"',
        'columns = ["face_*"]',
    ]
    with pytest.raises(ValueError, match="is there already; --overwrite replaces it"):
        write_description(str(tmp_path / "trees.csv"), options)
    write_description(str(tmp_path), options, overwrite=True)
    # Options come before the file.
    split = open_own(str(tmp_path), OwnOptions(folds=3)).data.split(seed=0)
    assert len(split.test) == 20


def test_arrays_are_described_too(tmp_path):
    np.savez(tmp_path / "mine.npz", **small_arrays())
    plain = open_own(str(tmp_path / "mine.npz"), OwnOptions()).data
    write_description(str(tmp_path / "mine.npz"), OwnOptions())
    assert open_own(str(tmp_path), OwnOptions()).data.digest() == plain.digest()


TOML = """
table = "trees.csv"
label = "species"
[modalities.face]
columns = ["face_*"]
"""


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("face_*", "fcae_*", "modality 'face': unknown column 'fcae_*'"),
        ("label =", "labell =", "unknown entry 'labell'; did you mean 'label'"),
        ('label = "species"', "", "label is missing"),
        ('label = "species"', "label = 3", "label is 3; text, or a list of texts"),
        ("trees.csv", "tree.csv", "table 'tree.csv': no .csv, .tsv, .parquet, .npz file"),
        ("columns", 'kind = "vectr"\ncolumns', "unknown kind 'vectr'; did you mean 'vector'"),
        ("columns", 'kind = "image"\nsize = 0\ncolumns', "size is 0; an integer >= 1"),
        ("columns", "sizes = 3\ncolumns", "unknown entry of modality 'face' 'sizes'"),
        ("columns", 'kind = "text"\ncolumns', "2 columns; of kind 'text' there is one"),
        ("columns = [", "columns = [[", "is no TOML"),
        ("[modalities", "[parts]\ntest = 0\n[modalities", "test=0 is out of range"),
        ("[modalities", "[parts]\ntrain = 3\n[modalities", "unknown entry of [parts] 'train'"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, old, new, words):
    write_csv(tmp_path / "trees.csv", small_columns())
    (tmp_path / "dataset.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(ValueError) as error:
        open_own(str(tmp_path), OwnOptions())
    assert words in str(error.value)
    assert str(tmp_path / "dataset.toml") in str(error.value)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("photo_7.png", None, "line 9, column 'photo': .*photo_7.png: there is no such file"),
        ("photo_7.png", b"GIF8", "line 9, column 'photo': .*photo_7.png: cannot identify it as an"),
        ("sound_2.wav", b"RIFF", "line 4, column 'sound': .*sound_2.wav: "),
        ("trace_0.npy", b"\x93NUMPY", "column 'trace': .*trace_0.npy: its header cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, content, words):
    write_media(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        open_own(str(tmp_path / "clips.csv"), BY_SPECIES)
    assert str(error.value).count(name) == 1
    assert "BytesIO" not in str(error.value)


def test_arrays_of_other_shapes_are_named(tmp_path):
    write_media(tmp_path)
    np.save(tmp_path / "trace_3.npy", np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"line 5, column 'trace': its shape is \[4, 3\], and"):
        open_own(str(tmp_path), BY_SPECIES)


def test_more_than_memory_holds_is_refused_first(tmp_path, monkeypatch):
    write_media(tmp_path)
    monkeypatch.setattr("masam_jax.data.own.media._MOST_BYTES", 2**17)
    with pytest.raises(ValueError, match=r"column 'photo': decoded, 12 samples of 64 × 64 × 3"):
        open_own(str(tmp_path), BY_SPECIES)


@pytest.mark.parametrize(
    "names, words",
    [((), "holds nothing that is read"), (("a.csv", "b.csv"), "holds a.csv, b.csv: name one")],
)
def test_folders_that_do_not_say_what_is_read(tmp_path, names, words):
    for name in names:
        write_csv(tmp_path / name, small_columns())
    with pytest.raises(ValueError, match=words):
        open_own(str(tmp_path), OwnOptions())
