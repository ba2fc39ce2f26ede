"""Wrong labels, fewer samples, missing modalities and noise, by one switch each."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config import (
    CorruptionConfig,
    ModelConfig,
    OutputConfig,
)
from masam_jax.methods import parse_method
from masam_jax.training import run
from masam_jax.training.batches import evaluation_batches, network_inputs
from masam_jax.training.corruption import corrupt
from masam_jax.training.plan import plan_training
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.storage.atomic_files import read_json
from masam_jax.training.task import Task
from tests.training.every_kind import KINDS, MODEL, SPECS, every_kind
from tests.training.stateful import stateful_problem, vectors

PLAIN = ModelConfig(width=4, depth=1)
_network_inputs = jax.jit(network_inputs, static_argnums=(0, 1))
KEYS = [jax.random.PRNGKey(seed) for seed in range(2)]


def _problem(seeds=2, data=None, model=PLAIN, **corruption):
    return stateful_problem(
        seeds, data=data, model=model, corruption=CorruptionConfig(**corruption)
    )


def _seen(problem, part, key, index=0):
    """A batch of the first seed as the network sees it, in training or at test time."""
    if part == "train":
        batch = Task(problem, parse_method("late_fusion")).batches.at(index)
    else:
        batch, _ = next(evaluation_batches(problem, problem.indices("test")))
    first = jax.tree.map(lambda x: x[0], (batch, problem.statistics))
    config = problem.experiment.corruption
    return first[0], _network_inputs(config, part, problem.resident, first[1], first[0], key)


def _leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_wrong_labels_are_in_training_alone(kind):
    problem = _problem(label_noise=0.5, label_noise_kind=kind)
    truth = problem.data.labels
    for seed, split in enumerate(problem.splits):
        wrong = np.flatnonzero(problem.train_labels[seed] != truth)
        np.testing.assert_array_equal(wrong, problem.corruption.flipped[seed])
        assert set(wrong) <= set(split.train)
        assert len(wrong) == 12
    batch, seen = _seen(problem, "train", KEYS[0])
    np.testing.assert_array_equal(seen.labels, problem.train_labels[0][batch.rows])
    assert (np.asarray(seen.labels) != truth[batch.rows]).any()
    batch, seen = _seen(problem, "test", KEYS[0])
    np.testing.assert_array_equal(seen.labels, truth[batch.rows])
    if kind == "asymmetric":
        rows = problem.corruption.flipped[0]
        np.testing.assert_array_equal(problem.train_labels[0][rows], (truth[rows] + 1) % 3)


def test_what_is_wrong_is_the_same_for_all_seeds_and_written_down(prepared, tmp_path, monkeypatch):
    """With the same training rows; and again after a resumption."""
    monkeypatch.setenv("MASAM_DATA_DIR", str(prepared.data_dir))
    experiment = _problem(label_noise=0.4, missing=0.3, corruption_seed=3).experiment
    data = dataclasses.replace(
        experiment.data,
        dataset=prepared.spec("adni"),
        train_size=None,
        validation_size=None,
        test_size=None,
    )
    experiment = dataclasses.replace(experiment, data=data)
    monkeypatch.setattr(run, "train_method", lambda task, *args, **options: {"seeds": [0]})
    found = []
    for seeds, resume in ((experiment.seeds, False), (experiment.seeds, True)):
        chosen = dataclasses.replace(experiment, seeds=seeds)
        plan = plan_training(parse_method("late_fusion"), chosen)
        output = OutputConfig(str(tmp_path / "run"), resume=resume)
        run.execute(plan, output, ["masam"], _Silent())
        found.append(read_json(tmp_path / "run" / "corruption.json"))
    assert found[0] == found[1]
    problem = plan.problem
    assert found[0]["wrong_labels"] == {
        str(seed): problem.corruption.flipped[seed].tolist() for seed in (0, 1)
    }
    assert len(found[0]["wrong_labels"]["0"]) == round(0.4 * 30)
    assert found[0]["wrong_labels"]["0"] == found[0]["wrong_labels"]["1"]
    for part in ("train", "test"):
        for m, rows in found[0]["missing"][part].items():
            has = problem.presence(part)[m]
            np.testing.assert_array_equal(rows, np.flatnonzero(~has))
            assert 0 < len(rows) < len(problem.data)
    assert found[0]["missing"]["train"] != found[0]["missing"]["test"]
    # Provenance of data that are held in memory is that of the copy on disk.
    splits = read_json(tmp_path / "run" / "splits.json")
    assert splits["rule"].startswith("as published")
    assert splits["digest"] == problem.opened.digest()
    assert splits["provenance"]


class _Silent(ProgressReport):
    def __init__(self):
        from rich.console import Console

        super().__init__(Console(quiet=True))


def test_nothing_is_written_where_nothing_is_corrupted():
    problem = _problem()
    assert problem.corruption.present == {}
    assert [len(rows) for rows in problem.corruption.flipped] == [0, 0]
    np.testing.assert_array_equal(problem.train_labels, [problem.data.labels] * 2)
    np.testing.assert_array_equal(problem.splits[0].train, _problem(seeds=1).splits[0].train)


def test_a_fraction_of_the_samples_is_trained_on():
    whole, half = _problem(), _problem(label_fraction=0.5)
    for full, part in zip(whole.splits, half.splits, strict=True):
        assert len(part.train) == 12
        assert set(part.train) < set(full.train)
        np.testing.assert_array_equal(part.test, full.test)
        np.testing.assert_array_equal(np.bincount(half.data.labels[part.train]), [4, 4, 4])
    task = Task(half, parse_method("late_fusion"))
    assert task.steps_per_epoch == 1
    assert set(task.row_batches[0][1]) == set(half.splits[1].train)
    values = half.data.features["a"][half.splits[0].train].astype(np.float64)
    np.testing.assert_allclose(half.host_statistics["a"][0][0], values.mean(0), rtol=1e-5)
    smaller = _problem(label_fraction=0.5, corruption_seed=1)
    assert set(smaller.splits[0].train) != set(half.splits[0].train)


def test_noise_at_test_belongs_to_the_row():
    noisy, clean = _problem(input_noise=0.0), _problem()
    rows, seen = _seen(noisy, "test", KEYS[0])
    again = _seen(noisy, "test", KEYS[1])[1]
    chex.assert_trees_all_equal(seen, again)
    plain = _seen(clean, "test", KEYS[0])[1]
    for m in "ab":
        difference = np.asarray(seen.inputs[m] - plain.inputs[m], np.float64)
        # 0 dB: noise of the power of the sample.
        power = np.square(plain.inputs[m]).mean()
        np.testing.assert_allclose(np.square(difference).mean(), power, rtol=0.6)
    reversed_rows = jax.tree.map(lambda x: x[::-1], rows)
    scales = jax.tree.map(lambda x: x[0], noisy.statistics)
    backwards = _network_inputs(
        noisy.experiment.corruption, "test", noisy.resident, scales, reversed_rows, KEYS[0]
    )
    np.testing.assert_allclose(backwards.inputs["a"][::-1], seen.inputs["a"], rtol=1e-5)
    # Training is left alone.
    ours, theirs = (_seen(problem, "train", KEYS[0])[1] for problem in (noisy, clean))
    chex.assert_trees_all_equal(ours, theirs)


def test_noise_of_one_modality_is_that_modalitys_part_of_the_noise_of_all():
    one, every, none = (
        _seen(_problem(input_noise=0.0, **options), "test", KEYS[0])[1].inputs
        for options in ({"input_noise_of": ("b",)}, {}, {"input_noise_in": "train"})
    )
    chex.assert_trees_all_equal(one["b"], every["b"])
    chex.assert_trees_all_equal(one["a"], none["a"])
    assert (np.asarray(one["b"]) != np.asarray(none["b"])).any()


def test_noise_in_training_is_drawn_at_every_step():
    noisy = _problem(input_noise=10.0, input_noise_in="train")
    first, second, again = (_seen(noisy, "train", key)[1].inputs for key in (*KEYS, KEYS[0]))
    assert (np.asarray(first["a"]) != np.asarray(second["a"])).any()
    chex.assert_trees_all_equal(first, again)
    tests = [_seen(problem, "test", KEYS[0])[1].inputs for problem in (noisy, _problem())]
    chex.assert_trees_all_equal(*tests)


def test_whole_modalities_are_missing_at_test_time_alone():
    problem = _problem(missing_at_test=("a",))
    _, seen = _seen(problem, "test", KEYS[0])
    assert not np.any(seen.inputs["a"])
    assert not np.any(seen.present["a"])
    assert np.all(seen.present["b"])
    _, trained = _seen(problem, "train", KEYS[0])
    assert trained.present == {}
    assert np.all(trained.inputs["a"] != 0)


def test_a_sample_always_keeps_a_modality():
    problem = _problem(missing=0.9)
    for part in ("train", "test"):
        has = np.stack([problem.presence(part)[m] for m in "ab"])
        assert has.any(axis=0).all()
        assert not has.all(axis=0).all()


SWITCHES = {
    "label_noise": {"label_noise": 0.5},
    "label_fraction": {"label_fraction": 0.5},
    "missing": {"missing": 0.5},
    "missing_at_test": {"missing_at_test": ("vector", "tokens", "sequence")},
    "input_noise": {"input_noise": 10.0, "input_noise_in": "all"},
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_corruption_works_on_every_kind_of_samples(switch):
    changed, plain = (
        _problem(1, every_kind(), MODEL, **options) for options in (SWITCHES[switch], {})
    )
    seen = {}
    for part in ("train", "test"):
        batch, seen[part] = _seen(changed, part, KEYS[0])
        if switch != "label_fraction":
            _, same = _seen(plain, part, KEYS[0])
        has = {m: np.asarray(seen[part].present.get(m, np.ones(12, bool))) for m in KINDS}
        for m, tree in seen[part].inputs.items():
            for leaf in _leaves(tree):
                assert np.isfinite(leaf).all()
                assert not leaf[~has[m]].any()
            assert jax.tree.structure(tree) == jax.tree.structure(SPECS[m].template)
            if switch == "input_noise":
                moved = [
                    (x != y).any()
                    for x, y in zip(_leaves(tree), _leaves(same.inputs[m]), strict=True)
                ]
                # Neither masks nor tokens.
                assert moved == {"tokens": [False, False], "sequence": [False, True]}.get(m, [True])
        tokens = seen[part].inputs["tokens"]
        assert tokens["tokens"].dtype == jnp.int32
        truth = plain.data.features["tokens"]["tokens"][np.asarray(batch.rows)]
        np.testing.assert_array_equal(tokens["tokens"], truth * has["tokens"][:, None])
    if switch == "label_noise":
        assert (changed.train_labels != plain.data.labels).sum() == 12
    if switch.startswith("missing"):
        absent = {m for m in KINDS if not np.all(seen["test"].present[m])}
        assert absent == set(SWITCHES[switch].get("missing_at_test", KINDS))
    if switch == "label_fraction":
        assert len(changed.splits[0].train) == 12


def test_a_step_on_samples_without_a_word_or_a_time_step_is_finite():
    """All of it missing, masks and all."""
    kinds = ("sequence", "tokens", "vector")
    problem = _problem(1, every_kind(kinds), PLAIN, missing=0.6, input_noise=5.0)
    task = Task(problem, parse_method("late_fusion"))
    state, losses = SeedStep(task)(init_state(task), task.batches.at(0), 0)
    for leaf in _leaves((state.params, losses)):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label_noise": 0.9}, r"label_noise=0.9 is out of range: expected a number in \[0, 0.8\]"),
        ({"label_noise": -0.1}, "label_noise=-0.1 is out of range"),
        ({"label_noise_kind": "random"}, "label_noise_kind must be one of .*, got 'random'"),
        ({"label_fraction": 0.0}, "label_fraction=0.0 is out of range"),
        ({"label_fraction": 1.5}, "label_fraction=1.5 is out of range"),
        ({"missing": 1.5}, "missing=1.5 is out of range"),
        ({"missing_in": "validation"}, "missing_in must be one of .*, got 'validation'"),
        (
            {"input_noise": float("inf")},
            "input_noise=inf is out of range: expected a finite number",
        ),
        (
            {"input_noise": float("nan")},
            "input_noise=nan is out of range: expected a finite number",
        ),
        ({"input_noise_in": "never"}, "input_noise_in must be one of .*, got 'never'"),
        ({"corruption_seed": -1}, "corruption_seed=-1 is out of range"),
    ],
)
def test_values_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        CorruptionConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_noise_of": ("vector",)}, "input_noise_of needs input_noise, the ratio in dB"),
        (
            {"input_noise": 1.0, "input_noise_of": ("vectr",)},
            r"input_noise_of: unknown modality 'vectr'; did you mean 'vector'\?",
        ),
        (
            {"input_noise": 1.0, "input_noise_of": ("tokens",)},
            "input_noise_of: 'tokens' has tokens, which noise cannot be added to",
        ),
    ],
)
def test_modalities_that_cannot_be_noisy_are_named(options, message):
    data = every_kind(("tokens", "vector"))
    split = data.split(seed=0, train_size=24, validation_size=12, test_size=12)
    with pytest.raises(ValueError, match=message):
        corrupt(CorruptionConfig(**options), data, [split], [0])


@pytest.mark.parametrize(
    "names, message",
    [
        (("c",), r"missing_at_test names \['c'\]; the modalities are \['a', 'b'\]"),
        (("a", "b"), "missing_at_test names every modality; one must remain"),
    ],
)
def test_modalities_that_cannot_be_missing_are_named(names, message):
    data = vectors()
    split = data.split(seed=0, train_size=24, validation_size=12, test_size=12)
    with pytest.raises(ValueError, match=message):
        corrupt(CorruptionConfig(missing_at_test=names), data, [split], [0])
