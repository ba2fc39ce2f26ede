"""Three sentences, whatever was found."""

import dataclasses
import re
import shlex

import numpy as np
import pytest

from masam_jax.cli.commands import COMMANDS
from masam_jax.cli.words import parse
from masam_jax.config import DataConfig, Experiment, ModelConfig, OptimizationConfig
from masam_jax.diagnosis.conclusions import conclude
from masam_jax.diagnosis.remedies import options_in_words, remedies_of
from masam_jax.diagnosis.verdict import verdict_of
from tests.diagnosis.made_up import observations, spread

EXPERIMENT = Experiment(
    data=DataConfig("synthetic:case=competition"), optimization=OptimizationConfig(steps=30)
)


def _diagnosis(experiment=EXPERIMENT, **changes):
    found = conclude(observations(**changes))
    found = dataclasses.replace(found, remedies=remedies_of(found, experiment))
    return dataclasses.replace(found, verdict=verdict_of(found))


def _sentences(verdict):
    return re.split(r"(?<=[.]) (?=\D)", verdict)


NOISE = {"a": spread(0.25), "b": spread(0.25)}
FAR_APART = {"a": spread(0.25), "b": spread(0.4, 0.5)}
CASES = {
    "fine": ({}, ["Fusion is worth it", "No modality is drowned", "Nothing is wrong here."]),
    "drowned": (
        {
            "joint": spread(0.7),
            "probe_joint": {"a": spread(0.8), "b": spread(0.6)},
            "answer_share": {"a": spread(0.8), "b": spread(0.2)},
        },
        [
            "Fusion is worse than its best",
            "b is drowned",
            "With unimodal losses the probe of b is at 80.0 %, and the prediction",
        ],
    ),
    "xor": (
        {"alone": NOISE, "probe_alone": NOISE, "alone_validation": NOISE},
        ["Fusion is worth it", "No modality says anything alone", "Nothing is wrong here."],
    ),
    "seeds far apart": (
        {"alone": FAR_APART, "probe_alone": FAR_APART, "alone_validation": FAR_APART},
        [
            "Fusion is worth it",
            "Whether a modality is drowned, 8 seeds cannot tell: alone, a and b get at most 40.0 %",
            "Nothing is certainly wrong here.",
        ],
    ),
    "nothing learned": (
        {
            "alone": NOISE,
            "probe_alone": NOISE,
            "alone_validation": NOISE,
            "joint": spread(0.25, 0.02),
        },
        [
            "Fusion is no better",
            "No modality says anything alone",
            "With unimodal losses the prediction is at 90.0 %; what",
        ],
    ),
    "diverged": (
        {"diverged": (8,)},
        ["Fusion is worth it", "No modality is drowned", "What may help: --learning-rate 0.0005 "],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_is_three_sentences(case):
    changes, beginnings = CASES[case]
    sentences = _sentences(_diagnosis(**changes).verdict)
    assert len(sentences) == 3
    for sentence, beginning in zip(sentences, beginnings, strict=True):
        assert re.match(beginning, sentence), sentence


def test_numbers_are_those_of_the_diagnosis():
    found = _diagnosis(**CASES["drowned"][0])
    assert "trained jointly, the network gets 70.0 % right, 10.0 points (" in found.verdict
    assert "less than a trained alone (80.0 %)" in found.verdict
    assert "gets 60.0 % after joint training and 80.0 % after training alone, 20.0 points less" in (
        found.verdict
    )
    assert "a dominates, with 80 % of what is right beyond guessing" in found.verdict


@pytest.mark.parametrize("case", CASES)
def test_commands_are_commands_and_train_the_same(case):
    found = _diagnosis(**CASES[case][0])
    assert bool(found.remedies) == found.is_anything_wrong
    for remedy in found.remedies:
        program, name, *rest = shlex.split(remedy.command)
        assert program == "masam"
        command = parse([name, *rest])
        assert isinstance(command, COMMANDS[name])
        assert command.experiment.data == EXPERIMENT.data
        assert command.experiment.optimization.steps == 30


def test_a_larger_share_by_right_is_told_and_not_blamed():
    found = _diagnosis(answer_share={"a": spread(0.8), "b": spread(0.2)})
    assert "dominates" not in found.verdict
    assert "of what is right beyond guessing, a has the largest share, 80 %" in found.verdict
    assert found.verdict.endswith("Nothing is wrong here.")


def test_one_seed_is_not_taken_for_modalities_that_say_nothing():
    one = {
        name: {m: of[:1] for m, of in value.items()} if isinstance(value, dict) else value[:1]
        for name, value in dataclasses.asdict(observations()).items()
        if isinstance(value, dict | np.ndarray) and name != "alignment"
    }
    verdict = _diagnosis(**one, seeds=(0,)).verdict
    assert "One seed cannot say whether fusion is worth it" in verdict
    assert "Whether a modality is drowned, one seed cannot tell" in verdict
    assert "No modality says anything alone" not in verdict


def test_many_drowned_modalities_stay_one_sentence():
    names = tuple(f"m{i:02d}" for i in range(12))
    found = _diagnosis(modalities=names, probe_joint={m: spread(0.6) for m in names})
    assert found.drowned == names
    assert "m00, m01, m02 and 9 more are drowned, m00 most of all" in found.verdict


def test_a_head_that_adds_is_told_of_one_that_multiplies():
    changes = CASES["nothing learned"][0]
    assert [r.name for r in _diagnosis(**changes).remedies][-2:] == [
        "--fusion film",
        "--fusion gated",
    ]
    film = dataclasses.replace(EXPERIMENT, model=ModelConfig(fusion="film"))
    assert not any("--fusion" in r.name for r in _diagnosis(film, **changes).remedies)


def test_experiments_in_words_are_read_as_they_were():
    experiment = Experiment(
        data=DataConfig("mfeat", train_size=None, augment=False),
        model=ModelConfig(width=8, encoders=("fac=mlp", "fou=ffn")),
        optimization=OptimizationConfig(learning_rate=1e-3),
    )
    words = options_in_words(experiment)
    assert parse(["diagnose", *words]).experiment == experiment
    settings = parse(["diagnose", "--dataset", "av_digits"]).experiment
    assert options_in_words(settings) == ["--dataset", "av_digits"]
