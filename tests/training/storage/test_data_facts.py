"""What a run keeps of its data, and how long it trains."""

import json

import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.data import Modality, MultimodalData, load_mfeat
from masam_jax.data.modality import IMAGENET, Normalization
from masam_jax.methods import Context
from masam_jax.training.storage.context_file import read_context, write_context
from masam_jax.training.storage.data_facts import facts_of, read_facts, write_facts


def made_up():
    text = {"tokens": np.zeros((3, 5), np.int32), "mask": np.ones((3, 5), np.bool_)}
    return MultimodalData(
        "made up",
        {"image": np.zeros((3, 4, 4, 3), np.uint8), "sound": np.zeros((3, 8, 6, 1)), "text": text},
        np.array([[0, 1], [1, 1], [0, 0]]),
        2,
        specs={
            "text": Modality("tokens", (5,), np.int32, Normalization("none"), 30),
            "image": Modality("image", (4, 4, 3), np.uint8, IMAGENET),
            "sound": Modality("spectrogram", (8, 6, 1), np.float64, Normalization("scalar")),
        },
        present={"image": np.array([True, False, True])},
        metric="macro_auroc",
    )


@pytest.mark.parametrize("make", [load_mfeat, made_up])
def test_round_trip(tmp_path, make):
    facts = facts_of(make())
    write_facts(tmp_path, make())
    assert read_facts(tmp_path) == facts
    assert list(read_facts(tmp_path).modalities) == sorted(facts.modalities)


def test_facts_are_those_of_the_data(tmp_path):
    write_facts(tmp_path, made_up())
    facts = read_facts(tmp_path)
    assert (facts.name, facts.metric) == ("made up", "macro_auroc")
    assert facts.multi_label
    assert facts.has_missing
    assert facts.classes == ("0", "1")
    assert facts.modalities["image"].normalization == IMAGENET
    assert facts.modalities["image"].template.dtype == np.uint8
    assert facts.modalities["text"].vocabulary_size == 30


def _entry(**changed):
    rule = {"rule": "none", "mean": [], "std": []}
    entry = {"kind": "vector", "shape": [6], "dtype": "float32", "normalization": rule}
    return {**entry, "vocabulary_size": None, **changed}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"classes": None}, "data.json is damaged: classes is no list"),
        ({"modalities": {"a": {}}}, "data.json is damaged: 'normalization'"),
        ({"modalities": {"a": _entry(kind="smell")}}, "kind is 'smell'; vector"),
        ({"modalities": {"a": _entry(dtype="O")}}, "a: dtype is object; real numbers are accepted"),
        ({"modalities": {"a": _entry(shape=[-6])}}, r"a: shape is \[-6\]; of kind 'vector' it is"),
        ({"modalities": {"a": _entry(shape=[1 << 40])}}, "larger than 4 GiB"),
        ({"colour": 1}, r"it has \['colour'\] beside"),
    ],
)
def test_damaged_facts_are_refused(tmp_path, change, message):
    write_facts(tmp_path, load_mfeat())
    path = tmp_path / "data.json"
    content = json.loads(path.read_text()) | change
    del content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=message):
        read_facts(tmp_path)


def test_facts_of_a_run_that_never_trained(tmp_path):
    with pytest.raises(RunError, match=r"has no data\.json: the run was stopped before"):
        read_facts(tmp_path)


def test_the_length_of_a_training(tmp_path):
    with pytest.raises(RunError, match=r"has no training\.json"):
        read_context(tmp_path)
    write_context(tmp_path, Context(7, 210))
    assert read_context(tmp_path) == Context(7, 210)
    (tmp_path / "training.json").write_text('{"steps": 3}')
    with pytest.raises(
        RunError, match=r"training\.json is damaged: it lacks \['steps_per_epoch'\]"
    ):
        read_context(tmp_path)
    (tmp_path / "training.json").write_text('{"steps": 3.5, "steps_per_epoch": 2}')
    with pytest.raises(RunError, match=r"training\.json is damaged: steps is 3\.5; an integer"):
        read_context(tmp_path)
