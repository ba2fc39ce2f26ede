"""Linear probes: how much each encoder has learned by itself, whatever head it was trained with."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from masam_jax.training.evaluation import in_chunks
from masam_jax.training.problem import Problem, gather

# Iterations of L-BFGS; a probe on standardised features is done after a few dozen.
_ITERATIONS = 1000


class LinearProbes:
    """Logistic regression on the frozen features of each encoder, fitted on the training samples.

    Unlike the accuracy of the unimodal heads it means the same for methods that train no such
    heads. Features are standardised by the training samples'; the regression is scikit-learn's
    ``LogisticRegression`` with its defaults (L2 penalty, C = 1).
    """

    def __init__(self, problem: Problem) -> None:
        network = problem.network(problem.experiment.model.fusion)

        def one(encoders: Any, statistics: Any, indices: jax.Array, rows: Any) -> Any:
            inputs, _ = gather(rows, statistics, indices)
            return {m: network.encode({"encoders": encoders}, m, x) for m, x in inputs.items()}

        self._problem = problem
        self._encode = jax.jit(
            jax.vmap(one, in_axes=(0, 0, 0, None)), out_shardings=problem.placement.seeds
        )

    def accuracy(self, params: Any, split: str) -> Mapping[str, np.ndarray]:
        """``{m: [S]}``, the probes' accuracy on a split.

        Args:
          params: parameters ``[S, ...]`` of a network whose encoders are the problem's.
          split: ``train``, ``validation`` or ``test``.
        """
        train, other = (self._problem.indices(name) for name in ("train", split))
        fit, judged = self._features(params, train), self._features(params, other)
        labels = self._problem.data.labels
        return {
            m: np.array(
                [
                    _probe(fit[m][seed], labels[train[seed]], judged[m][seed], labels[other[seed]])
                    for seed in range(len(train))
                ]
            )
            for m in self._problem.modalities
        }

    def _features(self, params: Any, indices: np.ndarray) -> dict[str, np.ndarray]:
        problem = self._problem

        def encode(placed: jax.Array) -> Any:
            return self._encode(params["encoders"], problem.statistics, placed, problem.rows)

        return in_chunks(problem, encode, indices)


def _probe(
    features: np.ndarray, labels: np.ndarray, others: np.ndarray, truth: np.ndarray
) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    flat, flat_others = (x.reshape(len(x), -1).astype(np.float64) for x in (features, others))
    return float(model.fit(flat, labels).score(flat_others, truth))
