"""``masam_jax.compare``: several methods on the same data, seeds and splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from masam_jax.api.keywords import run_settings
from masam_jax.api.method_list import bind_method, expand_methods, recorded_methods
from masam_jax.api.results import RunResults
from masam_jax.api.running import OutputPlace, call_in_words, run_plan
from masam_jax.config.errors import user_errors
from masam_jax.data.on_disk import Data
from masam_jax.geometry.along_training import FlatnessAlongTraining
from masam_jax.predict import Predictor, load_predictor
from masam_jax.training.plan import plan_comparison

_METHODS = ("fusion_only", "late_fusion", "sam", "masam")


class Comparison(RunResults):
    """Methods that were trained with the same seeds, splits and initial parameters."""

    def predictor(self, method: str, **options: Any) -> Predictor:
        """The networks of one method, for inference.

        Args:
          method: as it was given, ``NAME[:OPTION=VALUE,...]``.
          **options: of `masam_jax.predict.load_predictor`.

        Raises:
          RunError: no such method.
        """
        return load_predictor(self.path, method=method, **options)


def compare(
    data: str | Data,
    methods: Sequence[str] | None = None,
    *,
    baseline: str | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> Comparison:
    """Trains several methods with the same seeds, splits and initial parameters.

    Args:
      data: a `masam_jax.MultimodalData`; or text as ``masam compare --dataset`` takes it: a name, a
        path, ``package.module:function``.
      methods: each as ``NAME[:OPTION=VALUE,...]``; ``all``; or ``@PATH`` of a tuning. Those of the
        data set's settings when None.
      baseline: the method that the others are tested against; ``late_fusion`` if it is there, else
        the first.
      output: the run directory; a temporary one when None, which goes with the result.
      resume: go on with the run in ``output``.
      overwrite: delete the run in ``output``, and start again.
      progress: whether the course is shown.
      **options: every other flag of ``masam compare``, with ``_`` for ``-``, such as ``seeds=8``,
        ``steps=300``, ``width=64``; lists where it takes several.

    Returns:
      The results: `table`, `plot`, `save`.

    Raises:
      RunError: a mistake in what was asked, or in the data; the message says what is accepted.
      TypeError: a keyword that is no option.
    """
    place = OutputPlace(output)
    with user_errors():
        settings = run_settings("compare", data, options)
        asked = place.config(resume, overwrite, settings.loggers)
    published = settings.published.methods if settings.published else None
    recorded = recorded_methods(asked)
    default = settings.published.compared if settings.published else _METHODS
    words = (methods,) if isinstance(methods, str) else methods
    plan = plan_comparison(
        expand_methods(default if words is None else tuple(words), published, recorded),
        bind_method(baseline, published, recorded) if baseline is not None else None,
        settings.experiment,
        inputs=settings.inputs,
        data=settings.data,
        measurement=FlatnessAlongTraining,
    )
    told = {"methods": [method.spec for method in plan.methods], **options}
    call = call_in_words("compare", settings.experiment.data.dataset, told)
    run_plan(plan, asked, call, progress)
    return Comparison(place)
