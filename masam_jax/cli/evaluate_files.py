"""A run, evaluated on a list of samples that it has not seen."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.config import InputConfig
from masam_jax.config.errors import RunError, user_errors
from masam_jax.predict import Prediction, load_predictor
from masam_jax.training.estimates import Estimates
from masam_jax.training.evaluate import Evaluation, Which
from masam_jax.training.input_files import InputFiles, open_files
from masam_jax.training.predictions import Predictions, measure
from masam_jax.training.saved_model import SavedModel, open_model
from masam_jax.training.storage.run_config import check_specs
from masam_jax.training.storage.run_directory import read_config
from masam_jax.training.target_scale import read_target_scale


def evaluate_files(
    run: Path,
    place: str,
    label: str | None,
    which: Which | None,
    inputs: InputConfig,
    *,
    fall_back: bool = False,
) -> list[Evaluation]:
    """Evaluates the checkpoint of a run, or of every method of a comparison.

    Args:
      run: as for `evaluate_run`.
      place: the list, see `masam_jax.training.input_files.open_files`.
      label: column of the classes; the one that the run's data had, or ``label``, when None.
      which: as for `evaluate_run`, and so the rest.
      inputs: where prepared data are, and how many threads decode.
      fall_back: likewise.

    Raises:
      RunError: no run, no checkpoint, a damaged one, or a list that is not as the run's data were.
    """
    config = read_config(run)
    if config.get("kind") == "tune":
        raise RunError(f"{run} is a tuning, which keeps no parameters; evaluate a comparison")
    _, specs = check_specs(run, config)
    files: InputFiles | None = None
    evaluations = []
    for spec in specs:
        model = open_model(run, spec if len(specs) > 1 else None)
        predictor = load_predictor(
            run, method=model.method.spec, checkpoint=which, fall_back=fall_back
        )
        if files is None:
            with user_errors():
                files = open_files(model, place, inputs)
        found = predictor.of_files(files, label=True if label is None else label)
        predictions = _of_each_seed(model, found, np.asarray(found.labels))
        rows = np.arange(predictions.labels.shape[1])
        evaluations.append(
            Evaluation(
                method=model.method,
                seeds=predictor.seeds,
                step=model.step(fall_back),
                rows=np.broadcast_to(rows, predictions.labels.shape[:2]),
                predictions=predictions,
                metrics=measure(predictions, len(found.classes), model.facts.metric),
                metric=model.facts.metric,
                class_names=found.classes,
                keys=found.keys,
            )
        )
    return evaluations


def _of_each_seed(
    model: SavedModel, found: Prediction, labels: np.ndarray
) -> Predictions | Estimates:
    """The labels and losses for each seed, beside what it says."""
    labels = np.broadcast_to(labels, (len(found.by_seed), *labels.shape))
    trained_on = labels
    if found.is_regression:
        trained_on = read_target_scale(model.root).standardized(labels)
    sample_loss = jax.vmap(model.network.sample_loss)
    loss = np.asarray(sample_loss(jnp.asarray(found.logits), jnp.asarray(trained_on)))
    said = (labels, found.by_seed, loss, dict(found.unimodal_by_seed))
    return Estimates(*said) if found.is_regression else Predictions(*said)
