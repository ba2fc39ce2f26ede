"""Probes: how much each encoder has learned by itself, whatever head it was trained with."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.training.batches import network_inputs, shares_samples
from masam_jax.training.predictions import Point, batch_axes, in_parts
from masam_jax.training.problem import Problem
from masam_jax.training.regression_metrics import r2

# Iterations of L-BFGS; a probe on standardised features is done after a few dozen.
_ITERATIONS = 1000


class LinearProbes:
    """A linear model of the frozen features of each encoder, fitted on the training samples.

    Unlike the accuracy of the unimodal heads it means the same for methods that train no such
    heads. Labels are the right ones, also where training has wrong ones. Features are standardised
    by the training samples'; the model is scikit-learn's ``LogisticRegression`` with its defaults
    (L2 penalty, C = 1), or for targets its ``Ridge`` with them (α = 1).

    Attributes:
      name: what results call the scores, "probe_accuracy" or "probe_r2".
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._functions: dict[bool, Callable[..., Any]] = {}
        self.name = "probe_r2" if problem.data.is_regression else "probe_accuracy"

    def scores(self, point: Point, split: str, hidden: int = 0) -> Mapping[str, np.ndarray]:
        """``{m: [S]}``, the probes' accuracy on a split, or R²; of several labels, the mean.

        NaN of a seed whose features are not finite.

        Args:
          point: parameters ``[S, ...]`` of a network whose encoders are the problem's.
          split: ``train``, ``validation`` or ``test``.
          hidden: units of one hidden layer, trained by scikit-learn's ``MLPClassifier`` or
            ``MLPRegressor`` with their defaults and L-BFGS; 0 for a linear model.
        """
        from threadpoolctl import threadpool_limits

        train, other = (self._problem.indices(name) for name in ("train", split))
        fit, judged = self._features(point, train), self._features(point, other)
        labels = self._problem.data.labels
        probe = _probe_of_targets if self._problem.data.is_regression else _probe_of_classes
        # Products of matrices this small cost threads of BLAS more than they gain, on busy cores 20
        # times as much; and their rounding depends on how many there are.
        with threadpool_limits(limits=1):
            return {
                m: np.array(
                    [
                        probe(
                            fit[m][seed],
                            labels[train[seed]],
                            judged[m][seed],
                            labels[other[seed]],
                            hidden,
                        )
                        for seed in range(len(train))
                    ]
                )
                for m in self._problem.modalities
            }

    def _features(self, point: Point, indices: np.ndarray) -> dict[str, np.ndarray]:
        problem = self._problem
        shared = shares_samples(problem, indices)
        if shared not in self._functions:
            mapped = jax.vmap(self._encode, in_axes=(0, 0, 0, batch_axes(shared), None))
            self._functions[shared] = jax.jit(mapped, out_shardings=problem.placement.seeds)
        encoders, statistics = point.params["encoders"], point.statistics

        def encode(batch: Batch) -> Any:
            return self._functions[shared](
                encoders, statistics, problem.statistics, batch, problem.resident
            )

        return in_parts(problem, encode, indices)

    def _encode(
        self, encoders: Any, statistics: Any, scales: Any, batch: Batch, resident: Any
    ) -> dict[str, jax.Array]:
        experiment = self._problem.experiment
        network = self._problem.network(experiment.model.fusion).with_statistics(statistics)
        key = jnp.zeros(2, jnp.uint32)
        seen = network_inputs(experiment.corruption, "test", resident, scales, batch, key)
        return {
            m: feature_vectors(network.encode({"encoders": encoders}, m, x))
            for m, x in seen.inputs.items()
        }


def feature_vectors(features: Any) -> jax.Array:
    """Features ``[B, H]``; of tokens, the mean of the real ones."""
    if not isinstance(features, Mapping):
        return features
    real = features["mask"][..., None]
    values = jnp.where(real, features["values"], 0)
    return values.sum(axis=1) / jnp.maximum(real.sum(axis=1), 1).astype(values.dtype)


def _probe_of_classes(
    features: np.ndarray, labels: np.ndarray, others: np.ndarray, truth: np.ndarray, hidden: int
) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    flat, flat_others = _flat(features), _flat(others)
    if not (np.isfinite(flat).all() and np.isfinite(flat_others).all()):
        return float("nan")
    shares = []
    for given, true in zip(np.atleast_2d(labels.T), np.atleast_2d(truth.T), strict=True):
        if (given == given[0]).all():  # Nothing to separate.
            shares.append(np.mean(true == given[0]))
            continue
        model = make_pipeline(
            StandardScaler(),
            MLPClassifier(**_layer(hidden)) if hidden else LogisticRegression(max_iter=_ITERATIONS),
        )
        shares.append(model.fit(flat, given).score(flat_others, true))
    return float(np.mean(shares))


def _probe_of_targets(
    features: np.ndarray, targets: np.ndarray, others: np.ndarray, truth: np.ndarray, hidden: int
) -> float:
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    flat, flat_others = _flat(features), _flat(others)
    if not (np.isfinite(flat).all() and np.isfinite(flat_others).all()):
        return float("nan")
    model = make_pipeline(StandardScaler(), MLPRegressor(**_layer(hidden)) if hidden else Ridge())
    # A network wants one target without an axis.
    given = targets[:, 0] if hidden and targets.ndim > 1 and targets.shape[1] == 1 else targets
    return r2(truth, model.fit(flat, given).predict(flat_others).reshape(truth.shape))


def _layer(units: int) -> dict[str, Any]:
    """One hidden layer, fitted until nothing changes; always from the same initial weights."""
    return {
        "hidden_layer_sizes": (units,),
        "solver": "lbfgs",
        "max_iter": 10 * _ITERATIONS,
        "random_state": 0,
    }


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1).astype(np.float64)
