import io

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.builders.tfds import tfds
from masam_jax.data.own.opening import open_own
from masam_jax.data.own.options import OwnOptions


class Leaves(tfds.core.GeneratorBasedBuilder):
    """Pictures and numbers, as anyone's builder has them."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "label": tfds.features.ClassLabel(names=["ash", "elm"]),
            "photo": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "shape": {"margin": tfds.features.Tensor(shape=(5,), dtype=np.float32)},
            "note": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, description="leaves", features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 14), "test": self._generate_examples(14, 20)}

    def _generate_examples(self, start, end):
        for row in range(start, end):
            file = io.BytesIO()
            Image.fromarray(np.full((6 + row, 7, 3), row, np.uint8)).save(file, "PNG")
            yield (
                row,
                {
                    "label": row % 2,
                    "photo": file.getvalue(),
                    "shape": {"margin": np.full(5, row, np.float32)},
                    "note": f"leaf number {row}",
                },
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tfds")
    builder = Leaves(data_dir=str(place), file_format="array_record")
    builder.download_and_prepare()
    return place / "leaves" / "1.0.0"


def test_a_prepared_builder(folder):
    data = open_own(str(folder), OwnOptions()).data
    assert data.class_names == ("ash", "elm")
    assert {m: spec.kind for m, spec in data.modality_specs.items()} == {
        "note": "tokens",
        "photo": "image",
        "shape_margin": "vector",
    }
    rows = data.features["shape_margin"][:, 0]
    np.testing.assert_array_equal(data.features["photo"][:, 0, 0, 0], rows)
    np.testing.assert_array_equal(data.labels, rows % 2)
    assert rows[data.split(seed=0).test].min() == 14


def test_another_file_format_is_named(folder, tmp_path):
    for name in ("features.json", "dataset_info.json"):
        text = (folder / name).read_text().replace("array_record", "tfrecord")
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r'tfrecord.*file_format="array_record"'):
        open_own(str(tmp_path), OwnOptions())
