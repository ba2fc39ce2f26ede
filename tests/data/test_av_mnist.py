import importlib.resources

import numpy as np
import pytest

from masam_jax.data import av_mnist, load_dataset


@pytest.fixture(scope="module")
def archive():
    packaged = importlib.resources.files("masam_jax.data") / "files" / "av_mnist.npz"
    with packaged.open("rb") as file, np.load(file) as found:
        return dict(found)


def test_sound_and_image_of_each_row_are_the_archives_own(archive):
    data = load_dataset("av_mnist")
    assert {m: (s.kind, s.shape) for m, s in data.modality_specs.items()} == {
        "audio": ("spectrogram", (32, 48, 1)),
        "image": ("image", (28, 28, 1)),
    }
    # Of 16 bits in the archive, which float32 holds exactly.
    np.testing.assert_array_equal(data.features["audio"][..., 0], archive["x_audio"])
    np.testing.assert_array_equal(data.features["image"][..., 0], archive["x_image"])
    assert data.features["audio"].dtype == np.float32
    assert data.features["image"].dtype == np.uint8
    assert (np.bincount(data.labels) == 300).all()


def test_speakers_that_are_held_out_are_in_no_other_part(archive):
    split = load_dataset("av_mnist:speakers=held_out").split(seed=3, train_size=300)
    names = archive["group_names"][archive["group"]]
    assert [sorted(set(names[part].tolist())) for part in split] == [
        ["george", "jackson", "lucas"],
        ["nicolas"],
        ["theo", "yweweler"],
    ]
    assert [len(part) for part in split] == [300, 500, 1000]
    assert (np.bincount(archive["label"][split.train]) == 30).all()


def test_speakers_are_mixed_unless_asked_for(archive):
    split = load_dataset("av_mnist").split(
        seed=0, train_size=300, validation_size=500, test_size=1000
    )
    for part in split:
        assert len(set(archive["group"][part].tolist())) == 6


def test_an_unknown_division_of_speakers_is_refused():
    with pytest.raises(ValueError, match=r"speakers is 'all'|speakers.*mixed.*held_out"):
        load_dataset("av_mnist:speakers=all")


def test_provenance_ships_beside_the_file():
    readme = (importlib.resources.files("masam_jax.data") / "files" / "README.md").read_text()
    assert av_mnist._SHA256 in readme
    assert "CC BY-SA 4.0" in readme
