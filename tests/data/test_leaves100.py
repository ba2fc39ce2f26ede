import importlib.resources

import numpy as np

from masam_jax.data import leaves100, load_dataset


def test_sixteen_leaves_of_each_of_a_hundred_species():
    data = load_dataset("leaves100")
    assert data.num_classes == 100
    assert (np.bincount(data.labels) == 16).all()
    assert {m: spec.shape for m, spec in data.modality_specs.items()} == {
        "view1": (64,),
        "view2": (64,),
        "view3": (64,),
    }


def test_values_are_the_archives_own():
    packaged = importlib.resources.files("masam_jax.data") / "files" / "leaves100.npz"
    data = load_dataset("leaves100")
    with packaged.open("rb") as file, np.load(file) as archive:
        for view, array in data.features.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, archive[f"x_{view}"])


def test_provenance_ships_beside_the_file():
    readme = (importlib.resources.files("masam_jax.data") / "files" / "README.md").read_text()
    assert leaves100._SHA256 in readme
    assert "One-hundred plant species leaves" in readme
