"""Linear probes of the encoders."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from masam_jax.training import batches
from masam_jax.training.linear_probes import LinearProbes
from masam_jax.training.predictions import Point


def _features(problem, params, seed, m, rows):
    mean, std = (np.asarray(part[seed]) for part in problem.statistics[m])
    inputs = (problem.data.features[m][rows] - mean) / std
    single = jax.tree.map(lambda leaf: leaf[seed], params)
    return np.asarray(problem.network("concat").encode(single, m, jnp.float32(inputs)), np.float64)


def test_probes_are_logistic_regressions_on_standardised_features(make_problem, monkeypatch):
    # More than one chunk, the last one not full.
    monkeypatch.setattr(batches, "_CHUNK", 7)
    problem = make_problem(2)
    params = problem.initial("concat")[0]
    found = LinearProbes(problem).scores(Point(params, {}, ()), "test")
    assert sorted(found) == list(problem.modalities)
    labels = problem.data.labels
    for m, accuracy in found.items():
        assert accuracy.shape == (2,)
        for seed, split in enumerate(problem.splits):
            train = _features(problem, params, seed, m, split.train)
            test = _features(problem, params, seed, m, split.test)
            mean, std = train.mean(0), train.std(0)
            std[std == 0] = 1
            model = LogisticRegression(max_iter=1000).fit((train - mean) / std, labels[split.train])
            hits = model.predict((test - mean) / std) == labels[split.test]
            np.testing.assert_allclose(accuracy[seed], hits.mean(), atol=0.03)


def test_probes_tell_an_informative_encoder_from_a_dead_one(make_problem):
    problem = make_problem(2)
    params = problem.initial("concat")[0]
    first, second = problem.modalities
    dead = jax.tree.map(jnp.zeros_like, params["encoders"][second])
    params = {**params, "encoders": {**params["encoders"], second: dead}}
    found = LinearProbes(problem).scores(Point(params, {}, ()), "test")
    assert (found[first] > 0.6).all()
    # One class for all samples: a third of them, more or less.
    assert (found[second] < 0.45).all()


def test_a_diverged_seed_has_no_accuracy(make_problem):
    problem = make_problem(2)
    params = problem.initial("concat")[0]
    diverged = jax.tree.map(lambda leaf: leaf.at[0].set(jnp.nan), params)
    for accuracy in LinearProbes(problem).scores(Point(diverged, {}, ()), "test").values():
        assert np.isnan(accuracy[0])
        assert 0 <= accuracy[1] <= 1


def test_a_hidden_layer_sees_what_a_line_cannot(make_problem, monkeypatch):
    problem = make_problem(2)
    point = Point(problem.initial("concat")[0], {}, ())
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (len(problem.data.labels), 2))
    # Of three classes, one is where both signs agree.
    labels = problem.data.labels
    signs[:, 1] = signs[:, 0] * np.where(labels == 0, 1, -1)
    probes = LinearProbes(problem)
    monkeypatch.setattr(
        probes, "_features", lambda _, rows: dict.fromkeys(problem.modalities, signs[rows])
    )
    for line, curved in zip(
        probes.scores(point, "test").values(),
        probes.scores(point, "test", hidden=8).values(),
        strict=True,
    ):
        assert (curved > line + 0.1).all()
