import importlib.resources

import numpy as np

from masam_jax.data import load_mfeat, mfeat


def test_shapes_classes_and_types():
    data = load_mfeat()
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {
        "fac": (216,),
        "fou": (76,),
        "kar": (64,),
        "mor": (6,),
        "pix": (240,),
        "zer": (47,),
    }
    assert all(array.dtype == np.float32 for array in data.features.values())
    np.testing.assert_array_equal(data.labels, np.repeat(np.arange(10), 200))
    assert data.num_classes == 10


def test_values_are_the_archives_own():
    packaged = importlib.resources.files("masam_jax.data") / "files" / "mfeat.npz"
    data = load_mfeat()
    with packaged.open("rb") as file, np.load(file) as archive:
        for view, array in data.features.items():
            np.testing.assert_array_equal(array, archive[view].astype(np.float64))
    assert data.features["pix"].min() == 0
    assert data.features["pix"].max() == 6


def test_provenance_ships_beside_the_file():
    readme = (importlib.resources.files("masam_jax.data") / "files" / "README.md").read_text()
    assert "10.24432/C5HC70" in readme
    assert "CC BY 4.0" in readme
    assert mfeat._SHA256 in readme
