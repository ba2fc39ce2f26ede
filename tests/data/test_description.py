"""What people are told about data sets."""

import dataclasses
import inspect

import pytest

from masam_jax.data.builders.crema_d import CremaDOptions
from masam_jax.data.builders.registry import BUILDERS, builder_class
from masam_jax.data.dataset_spec import all_dataset_names, parse_dataset
from masam_jax.data.description import (
    describe_dataset,
    describe_normalization,
    documented_attributes,
)
from masam_jax.data.modality import IMAGENET, Normalization
from masam_jax.data.prepare import prepare_dataset
from masam_jax.data.synthetic import SyntheticConfig
from masam_jax.training.classification_metrics import METRICS
from tests.data.builders.sources import make_any_source


def described(spec, place):
    return describe_dataset(parse_dataset(spec), place)


@pytest.mark.parametrize("name", all_dataset_names())
def test_every_data_set_is_described(name, tmp_path):
    found = described(name, tmp_path)
    assert found.name == name
    assert found.title
    assert found.summary
    assert list(found.modalities) == sorted(found.modalities)
    assert found.modalities
    assert found.metric in METRICS
    assert len(found.class_names) >= (1 if found.multi_label else 2)
    assert "``" not in found.text
    assert found.text
    assert all(option.meaning for option in found.options)
    assert found.prepared is None
    assert not found.trouble
    if name in BUILDERS:
        assert found.place == tmp_path / name / str(builder_class(name).VERSION)
        assert found.homepage.startswith("https://")
        assert found.citation.startswith("@")
        assert found.instructions
        # The published numbers are part of the text, or that there is none.
        assert "Published" in found.text or "no published number" in found.text
    else:
        assert found.place is None
    assert not list(tmp_path.iterdir()), "describing writes nothing"


def test_options_are_told_with_their_defaults(tmp_path):
    found = {option.name: option for option in described("crema_d:frames=3", tmp_path).options}
    assert found["frames"][1:3] == ("3", "2")
    assert found["split"][1:3] == ("published", "published")
    assert found["frames"].meaning == "of the video, 1 to 3."
    assert list(found) == [field.name for field in dataclasses.fields(CremaDOptions)]
    assert described("crema_d:frames=3", tmp_path).modalities["video"].shape[0] == 3


def test_options_that_no_specification_can_write_are_left_out(tmp_path):
    names = [option.name for option in described("synthetic:dominance=4/1", tmp_path).options]
    assert "dims" not in names
    assert "dominance" in names


def test_attributes_are_read_from_the_documentation():
    found = documented_attributes(SyntheticConfig)
    assert list(found) == [field.name for field in dataclasses.fields(SyntheticConfig)]
    # Of several lines, and followed by another section.
    assert found["dims"].endswith("one for each modality, or a single one for all.")
    assert "Raises" not in found["seed"]
    assert documented_attributes(int) == {}


def test_a_prepared_copy_is_described(tmp_path):
    make_any_source("ur_funny", tmp_path / "source")
    builder = prepare_dataset(parse_dataset("ur_funny"), tmp_path, tmp_path / "source")
    found = described("ur_funny:max_steps=8", tmp_path)
    assert found.prepared is not None
    assert list(found.prepared.splits.items()) == [("train", 24), ("validation", 8), ("test", 8)]
    assert found.prepared.digest == builder.index.digest()
    assert found.prepared.provenance == builder.provenance
    assert found.prepared.options == {
        "max_steps": "50",
        "context": "true",
        "standardize": "sample",
    }
    assert found.prepared.damaged == {}
    assert found.instructions == inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)


def test_a_copy_of_other_options_is_trouble(tmp_path):
    prepare_dataset(parse_dataset("av_digits:samples=40"), tmp_path)
    found = described("av_digits", tmp_path)
    assert found.prepared is None
    assert "was prepared with samples=40" in found.trouble
    assert described("av_digits:samples=40,snr_db=none", tmp_path).prepared is not None


@pytest.mark.parametrize(
    "rule, words",
    [
        (Normalization(), "mean and std of each feature, from the training samples"),
        (Normalization("scalar"), "one mean and std of all values, from the training samples"),
        (Normalization("none"), "none"),
        (IMAGENET, "mean 123.675/116.28/103.53, std 58.395/57.12/57.375"),
    ],
)
def test_normalization_in_words(rule, words):
    assert describe_normalization(rule) == words
