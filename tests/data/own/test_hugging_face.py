import numpy as np
import pytest

from masam_jax.data.own.describing import write_description
from masam_jax.data.own.opening import open_own
from masam_jax.data.own.options import OwnOptions

datasets = pytest.importorskip("datasets")


def _dataset(rows):
    draws = np.random.default_rng(rows)
    pixels = draws.integers(0, 256, (rows, 9, 9, 3), dtype=np.uint8)
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["ash", "elm"]),
            "caption": datasets.Value("string"),
            "photo": datasets.Image(),
            "embedding": datasets.Sequence(datasets.Value("float32"), length=4),
            "grid": datasets.Array2D((3, 2), "float32"),
        }
    )
    content = {
        "label": [row % 2 for row in range(rows)],
        "caption": [f"a tree on day {row}" for row in range(rows)],
        "photo": list(pixels),
        "embedding": draws.normal(size=(rows, 4)).astype(np.float32),
        "grid": draws.normal(size=(rows, 3, 2)).astype(np.float32),
    }
    return datasets.Dataset.from_dict(content, features=features), content


def test_splits_and_features_of_a_saved_dict(tmp_path):
    train, content = _dataset(16)
    datasets.DatasetDict(train=train, test=_dataset(6)[0]).save_to_disk(str(tmp_path / "trees"))
    data = open_own(str(tmp_path / "trees"), OwnOptions()).data
    assert (data.name, data.class_names) == ("trees", ("ash", "elm"))
    assert {m: spec.kind for m, spec in data.modality_specs.items()} == {
        "caption": "tokens",
        "embedding": "vector",
        "grid": "sequence",
        "photo": "image",
    }
    np.testing.assert_allclose(data.features["embedding"][:16], content["embedding"], rtol=1e-6)
    np.testing.assert_allclose(data.features["grid"]["values"][:16], content["grid"], rtol=1e-6)
    assert data.split(seed=0).test.tolist() == list(range(16, 22))
    toml, _ = write_description(str(tmp_path / "trees"), OwnOptions())
    assert toml.parent == tmp_path / "trees"
    assert open_own(str(tmp_path / "trees"), OwnOptions()).data.digest() == data.digest()


def test_a_single_one_and_damage(tmp_path):
    _dataset(10)[0].save_to_disk(str(tmp_path / "trees"))
    data = open_own(str(tmp_path / "trees"), OwnOptions()).data
    assert [len(part) for part in data.split(seed=0)] == [7, 1, 2]
    next((tmp_path / "trees").glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="trees: it cannot be read: "):
        open_own(str(tmp_path / "trees"), OwnOptions())
