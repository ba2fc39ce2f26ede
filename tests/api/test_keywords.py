"""Keywords are the flags."""

import dataclasses

import pytest

from masam_jax.api.keywords import run_settings
from masam_jax.cli.words import parse

FLAGS = {
    "--steps 30": {"steps": 30},
    "--dataset crema_d": {},
    "--dataset crema_d --steps 30": {"steps": 30},
    "--dataset crema_d --epochs 3 --batch-size 8": {"epochs": 3, "batch_size": 8},
    "--encoders fac=mlp fou=ffn --missing-at-test fac --no-augment": {
        "encoders": ["fac=mlp", "fou=ffn"],
        "missing_at_test": ["fac"],
        "augment": False,
    },
    "--patience 3 --seeds 4 --seed-offset 2 --threads 3 --loggers csv": {
        "patience": 3,
        "seeds": 4,
        "seed_offset": 2,
        "threads": 3,
        "loggers": "csv",
    },
}


@pytest.mark.parametrize("flags", FLAGS)
def test_keywords_say_what_flags_say(flags):
    command = parse(["train", *flags.split()])
    dataset = command.experiment.data.dataset
    found = run_settings("train", dataset, FLAGS[flags])
    assert found.experiment == command.experiment
    assert found.inputs == command.inputs
    assert found.loggers == command.output.loggers


@pytest.mark.parametrize(
    "keywords, kind, message",
    [
        ({"stpes": 3}, TypeError, r"compare\(\) got an unexpected keyword argument 'stpes'; did "),
        ({"dataset": "mfeat"}, TypeError, "unexpected keyword argument 'dataset'"),
        ({"zzz": 3}, TypeError, "'zzz'; they are the flags of masam compare"),
        ({"steps": 0}, ValueError, "steps=0 is out of range: expected an integer >= 1"),
        ({"steps": 3, "epochs": 3}, ValueError, "steps=3 and epochs=3 exclude each other"),
    ],
)
def test_keywords_with_a_mistake(keywords, kind, message):
    with pytest.raises(kind, match=message):
        run_settings("compare", "mfeat", keywords)


def test_every_option_is_a_keyword():
    experiment = run_settings("train", "mfeat", {}).experiment
    for section in dataclasses.fields(experiment):
        values = dataclasses.asdict(getattr(experiment, section.name))
        values.pop("dataset", None)
        if values.get("epochs", 0) is None:
            del values["epochs"]
        assert run_settings("train", "mfeat", values).experiment == experiment


@pytest.mark.parametrize(
    "name, given, words",
    [
        ("modalities", "pix,mor", ("mor", "pix")),
        ("modalities", ["pix", "mor"], ("mor", "pix")),
        ("freeze", "pix", ("pix",)),
        ("class_weights", "balanced", ("balanced",)),
        ("class_weights", {"0": 2, "7": 0.5}, ("0=2", "7=0.5")),
        ("learning_rate_factor", {"pix": 0.1}, ("pix=0.1",)),
        ("encoders", {"pix": "mlp"}, ("pix=mlp",)),
    ],
)
def test_several_words_may_be_one_or_a_dict(name, given, words):
    experiment = run_settings("train", "mfeat", {name: given}).experiment
    sections = (experiment.data, experiment.optimization, experiment.model)
    assert [getattr(each, name) for each in sections if hasattr(each, name)] == [words]
