"""Inference: a run directory, and raw arrays or a data set, to probabilities.

    from masam_jax.predict import load_predictor

    predictor = load_predictor("runs/mine")
    prediction = predictor({"audio": audio, "video": video})

The data that the run was trained on are not needed. The package's extra ``train`` is.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from masam_jax.core.extras import needs

with needs("masam_jax.predict", "train"):
    import jax
    import jax.numpy as jnp
    import numpy as np

    from masam_jax.config import CorruptionConfig, InputConfig
    from masam_jax.config.errors import RunError, user_errors
    from masam_jax.core.specs import check_sizes
    from masam_jax.data.batch import Batch
    from masam_jax.data.on_disk import Data, PreparedData
    from masam_jax.data.raw_inputs import check_inputs, slices
    from masam_jax.data.standardization import Statistics
    from masam_jax.data.streaming import ReadAhead
    from masam_jax.training.batches import network_inputs
    from masam_jax.training.evaluate import SplitName, Which
    from masam_jax.training.input_files import InputFiles, open_files
    from masam_jax.training.open_data import open_data
    from masam_jax.training.predictions import Point, scale_of
    from masam_jax.training.saved_model import SavedModel, open_model
    from masam_jax.training.split_samples import split_rows, split_samples
    from masam_jax.training.storage.surroundings import (
        check_data,
        check_splits,
        read_fitted,
        read_statistics,
    )
    from masam_jax.training.target_scale import TargetScale, read_target_scale

__all__ = ["Prediction", "Predictor", "RunError", "load_predictor"]


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What the networks of a run say of n samples; NumPy arrays.

    Attributes:
      classes: names of the C classes, or of the K labels or targets.
      by_seed: float32 ``[S, n, C]``, softmax of each seed's fusion logits; sigmoid of K labels. Of
        regression, estimates float64 ``[S, n, K]`` in the targets' units.
      unimodal_by_seed: ``{m: float32 [S, n, C]}``, likewise by each modality's own head.
      multi_label: whether samples have K labels of zero or one, rather than one class.
      rows: int32 ``[n]``, the samples' places in their data set; None for raw arrays.
      labels: int32 ``[n]`` or ``[n, K]``, or targets float64 ``[n, K]``, the truth of a data set;
        None where it was not asked for.
      keys: names of the n samples of a list of files; None where they have none.
      logits: float32 ``[S, n, C]``, the fusion logits; of regression, standardised estimates.
      is_regression: whether samples have K numbers for targets.
    """

    classes: tuple[str, ...]
    by_seed: np.ndarray
    unimodal_by_seed: Mapping[str, np.ndarray]
    multi_label: bool = False
    rows: np.ndarray | None = None
    labels: np.ndarray | None = None
    keys: tuple[str, ...] | None = None
    logits: np.ndarray | None = None
    is_regression: bool = False

    @property
    def probabilities(self) -> np.ndarray:
        """float32 ``[n, C]``, the mean over the seeds; of regression, estimates ``[n, K]``."""
        return self.by_seed.mean(axis=0)

    @property
    def unimodal(self) -> dict[str, np.ndarray]:
        """``{m: float32 [n, C]}``, the mean over the seeds of each modality's own."""
        return {m: each.mean(axis=0) for m, each in self.unimodal_by_seed.items()}

    @property
    def predicted(self) -> np.ndarray:
        """int32 ``[n]``, the likeliest classes; zeros and ones, or estimates, ``[n, K]``."""
        if self.is_regression:
            return self.probabilities
        if self.multi_label:
            return (self.probabilities >= 0.5).astype(np.int32)
        return np.argmax(self.probabilities, axis=-1).astype(np.int32)


class Predictor:
    """The networks of all seeds of a method; made by `load_predictor`.

    Attributes:
      method: specification of the method.
      seeds: its seeds, in the order of ``by_seed``.
      modalities: modality -> kind, shape and dtype of its samples.
      classes: names of the C classes, or of the K labels or targets.
    """

    def __init__(
        self,
        model: SavedModel,
        point: Point,
        statistics: Statistics,
        seeds: tuple[int, ...],
        batch_size: int,
        targets: TargetScale | None = None,
    ) -> None:
        self.method = model.method.spec
        self.seeds = seeds
        self.modalities = model.facts.modalities
        self.classes = model.facts.classes
        self._model = model
        self._point = point
        self._statistics = statistics
        self._batch_size = batch_size
        self._targets = targets
        self._programs: dict[CorruptionConfig, Callable[..., Any]] = {}

    def __call__(
        self, inputs: Mapping[str, Any], *, present: Mapping[str, Any] | None = None
    ) -> Prediction:
        """Predicts any number n of samples.

        Args:
          inputs: modality -> samples as the data set's builder decodes them, not standardised: an
            array ``[n, ...]``, ``{"values": [n, T, D], "mask": bool [n, T]}`` or ``{"tokens":
            [n, L], "mask": bool [n, L]}``. None where all of them lack the modality; it may also be
            left out if samples that the run saw may lack one. What is missing is zeros after
            standardisation, as in training.
          present: modality -> bool ``[n]``, the samples that have it; all do where it is not named.

        Raises:
          ValueError: inputs that are not as `modalities` says; the error names the modality, what
            was found and what is needed.
        """
        samples = check_inputs(inputs, self.modalities, present, self.may_lack)
        # What is brought along is as it is: the run's corruptions are for its data set.
        return self._predict(slices(samples, self._batch_size), CorruptionConfig())

    def of_dataset(
        self,
        data: str | Data | None = None,
        split: SplitName = "test",
        inputs: InputConfig | None = None,
    ) -> Prediction:
        """Predicts a split of a data set, as ``masam evaluate`` does, corruptions included.

        Args:
          data: the data, or ``NAME[:OPTION=VALUE,...]``, with the run's modalities; the run's own
            data set when None. They are split as the run was configured.
          split: ``train``, ``validation`` or ``test``.
          inputs: where prepared data are, and how they are read.

        Raises:
          RunError: no such data set or split, other modalities, the run's own data set changed or
            with other splits than it was trained with, or rows that differ between the seeds.
        """
        if split not in get_args(SplitName):
            raise RunError(
                f"split={split!r} is unknown; {_listed(get_args(SplitName))} are accepted"
            )
        inputs = InputConfig() if inputs is None else inputs
        own = self._model.experiment.data.dataset
        with user_errors():
            found = own if data is None else data
            opened = open_data(found, inputs) if isinstance(found, str) else found
            if chosen_modalities := self._model.experiment.data.modalities:
                opened = opened.select(chosen_modalities)
            if opened.modalities != tuple(self.modalities):
                raise RunError(
                    f"{opened.name} has the modalities {', '.join(opened.modalities)}; the run has"
                    f" {', '.join(self.modalities)}"
                )
            chosen = split_rows(self._model.experiment, opened, split, self.seeds)
            if found == own:
                check_data(self._model.root, opened.digest())
                check_splits(self._model.root, chosen.digests)
            if isinstance(opened, PreparedData):
                opened.reader.fitted = read_fitted(self._model.root)
            parts = split_samples(
                self._model.experiment,
                opened,
                chosen,
                self._batch_size,
                ReadAhead(inputs.workers, inputs.threads),
            )
            checked = (
                (part._replace(inputs=check_inputs(part.inputs, self.modalities).inputs), count)
                for part, count in parts
            )
            prediction = self._predict(checked, self._model.experiment.corruption)
        return dataclasses.replace(prediction, rows=chosen.rows, labels=opened.labels[chosen.rows])

    def of_files(
        self,
        place: str | os.PathLike[str] | InputFiles,
        label: str | bool = False,
        inputs: InputConfig | None = None,
    ) -> Prediction:
        """Predicts the samples of a list, decoded as the run's own were; ``masam predict``.

        Args:
          place: a CSV, TSV or Parquet table, an ``.npz`` file or a folder, with the columns that
            the run's own data had; of a published data set, a column for each modality. Or what
            `open_files` opened for a method of the same comparison.
          label: column of the classes; True for the run's own, False for none.
          inputs: where prepared data are, and how many threads decode.

        Raises:
          RunError: there is no such file, it is damaged, lacks a column or a file, or a sample or a
            class is not as the run's were; the message names file, row and column.
        """
        inputs = InputConfig() if inputs is None else inputs
        with user_errors():
            files = (
                place
                if isinstance(place, InputFiles)
                else open_files(self._model, os.fspath(place), inputs)
            )
            labels = None
            if label is not False:
                labels = files.labels(None if label is True else label)
            found = self._predict(files.parts(self._batch_size), CorruptionConfig())
        return dataclasses.replace(found, labels=labels, keys=files.keys)

    @property
    def model(self) -> SavedModel:
        """The run without its parameters."""
        return self._model

    @property
    def may_lack(self) -> bool:
        """Whether samples that the run saw may lack a modality."""
        config = self._model.experiment.corruption
        return bool(self._model.facts.has_missing or config.missing or config.missing_at_test)

    def traced(self, inputs: Any, present: Mapping[str, jax.Array]) -> tuple[Any, Any, jax.Array]:
        """What a prediction computes, of arrays alone: for ``jit``, and for `masam_jax.export`.

        Nothing is checked; parameters, means and standard deviations are constants of the program.

        Args:
          inputs: modality -> samples of the shapes and dtypes that `modalities` says; any values
            where they are missing.
          present: modality -> bool ``[n]``, the samples that have it.

        Returns:
          ``by_seed``, ``unimodal_by_seed`` and ``logits`` of a `Prediction`; of regression float32.
        """
        size = next(iter(present.values())).shape[0]
        batch = Batch(inputs, present, rows=jnp.arange(size, dtype=jnp.int32))
        function = _function(self._model, CorruptionConfig())
        fused, unimodal, logits = function(self._point, self._statistics, batch)
        if (scale := self._targets) is not None:
            mean, std = (x[:, None].astype(np.float32) for x in scale)
            fused, unimodal = jax.tree.map(lambda z: z * std + mean, (fused, unimodal))
        return fused, unimodal, logits

    def _predict(self, parts: Iterable[tuple[Batch, int]], config: CorruptionConfig) -> Prediction:
        if config not in self._programs:
            self._programs[config] = jax.jit(_function(self._model, config))
        program, found = self._programs[config], []
        for batch, count in parts:
            each = jax.device_get(program(self._point, self._statistics, jax.device_put(batch)))
            found.append(jax.tree.map(lambda x, n=count: x[:, :n], each))
        fused, unimodal, logits = jax.tree.map(
            lambda *arrays: np.concatenate(arrays, axis=1), *found
        )
        facts = self._model.facts
        if self._targets is not None:
            fused, unimodal = jax.tree.map(self._targets.in_units, (fused, unimodal))
        return Prediction(
            self.classes,
            fused,
            unimodal,
            facts.multi_label,
            logits=logits,
            is_regression=facts.is_regression,
        )


def load_predictor(
    run: str | os.PathLike[str],
    *,
    method: str | None = None,
    checkpoint: Which | None = None,
    seeds: Sequence[int] | None = None,
    batch_size: int = 64,
    fall_back: bool = False,
) -> Predictor:
    """Loads a run for inference; its data are not needed.

    Args:
      run: a directory that ``masam train`` or ``masam compare`` wrote, or one method's directory
        inside a comparison.
      method: which method of a comparison, as NAME[:OPTION=VALUE,...].
      checkpoint: parameters after the last step, or best by validation score per seed; by default
        the ones that the run reported.
      seeds: some of the run's seeds, in the order of the predictions; all of them by default.
      batch_size: samples that the compiled program takes; the last ones are filled up to it.
      fall_back: where the last checkpoint is damaged, whether to take the last whole one.

    Raises:
      RunError: no run, no or a damaged checkpoint, a method that the comparison does not have or
        that must be chosen, or an unknown checkpoint or seed.
      ValueError: ``batch_size`` is less than 1.
    """
    check_sizes(batch_size=batch_size)
    if checkpoint not in (None, *get_args(Which)):
        raise RunError(
            f"checkpoint={checkpoint!r} is unknown; {_listed(get_args(Which))} are accepted"
        )
    model = open_model(Path(run), method)
    chosen = _chosen_seeds(model.seeds, seeds)
    best = (checkpoint or model.experiment.evaluation.report) == "best"
    positions = np.array([model.seeds.index(seed) for seed in chosen])
    point, statistics = jax.tree.map(
        lambda x: jax.device_put(jax.device_get(x)[positions]),
        (model.point(best, fall_back), read_statistics(model.root)),
    )
    targets = None
    if model.facts.is_regression:
        targets = TargetScale(*(part[positions] for part in read_target_scale(model.root)))
    return Predictor(model, point, statistics, chosen, batch_size, targets)


def _chosen_seeds(known: tuple[int, ...], asked: Sequence[int] | None) -> tuple[int, ...]:
    chosen = known if asked is None else tuple(asked)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(known):
        raise RunError(
            f"seeds={chosen} are not some of the run's, each once: {', '.join(map(str, known))}"
        )
    return chosen


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _function(model: SavedModel, config: CorruptionConfig) -> Callable[..., Any]:
    """``(point, statistics, batch) -> (fused, {m: own}, logits)``, each ``[S, B, C]``."""
    scale = scale_of(model.facts.multi_label, model.facts.is_regression)

    def one(point: Point, scales: Any, batch: Batch) -> Any:
        key = jnp.zeros(2, jnp.uint32)  # Noise at test time belongs to the row, not to a step.
        inputs = network_inputs(config, "test", {}, scales, batch, key).inputs
        network = model.network.with_statistics(point.statistics)
        features = {m: network.encode(point.params, m, inputs[m]) for m in network.modalities}
        logits = model.objective.predict(network, point.params, features, point.method_state)
        logits = jax.tree.map(lambda z: z.astype(jnp.float32), logits)
        return (*jax.tree.map(scale, logits), logits[0])

    return jax.vmap(one, in_axes=(0, 0, None))
