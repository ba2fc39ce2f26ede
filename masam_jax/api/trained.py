"""``masam_jax.train``: one method, and a predictor of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from masam_jax.api.keywords import run_settings
from masam_jax.api.method_list import bind_method, recorded_methods
from masam_jax.api.results import RunResults
from masam_jax.api.running import OutputPlace, call_in_words, run_plan
from masam_jax.config.errors import user_errors
from masam_jax.data.on_disk import Data
from masam_jax.geometry.along_training import FlatnessAlongTraining
from masam_jax.predict import Prediction, Predictor, load_predictor
from masam_jax.training.plan import plan_training


class TrainedModel(RunResults):
    """A method that was trained; called with samples, it predicts them.

    Attributes:
      predictor: the networks of all seeds.
    """

    predictor: Predictor

    def __init__(self, place: OutputPlace) -> None:
        """See `RunResults`."""
        super().__init__(place)
        self.predictor = load_predictor(place.path)

    def __call__(
        self, inputs: Mapping[str, Any], *, present: Mapping[str, Any] | None = None
    ) -> Prediction:
        """Predicts samples, see `masam_jax.predict.Predictor`."""
        return self.predictor(inputs, present=present)


def train(
    data: str | Data,
    method: str = "masam",
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> TrainedModel:
    """Trains one method, with one seed or several at once.

    Args:
      data: as for `masam_jax.compare`, and so the rest.
      method: as ``NAME[:OPTION=VALUE,...]``.
      output: likewise.
      resume: likewise.
      overwrite: likewise.
      progress: likewise.
      **options: every other flag of ``masam train``.

    Returns:
      The trained model: called with ``{modality: samples}`` it predicts; and `table`, `plot`,
      `save`.

    Raises:
      RunError: as `masam_jax.compare`.
      TypeError: likewise.
    """
    place = OutputPlace(output)
    with user_errors():
        settings = run_settings("train", data, options)
        asked = place.config(resume, overwrite, settings.loggers)
    published = settings.published.methods if settings.published else None
    recorded = recorded_methods(asked)
    plan = plan_training(
        bind_method(method, published, recorded),
        settings.experiment,
        inputs=settings.inputs,
        data=settings.data,
        measurement=FlatnessAlongTraining,
    )
    told = {"method": plan.methods[0].spec, **options}
    call = call_in_words("train", settings.experiment.data.dataset, told)
    run_plan(plan, asked, call, progress)
    return TrainedModel(place)
