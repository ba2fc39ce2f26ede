"""What a configuration takes from the data, or puts in their way, for each training seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from masam_jax.config import CorruptionConfig
from masam_jax.core.random_keys import fold_raw, seed_key, typed_key
from masam_jax.core.specs import unknown
from masam_jax.data import Split
from masam_jax.data.corruption import add_noise, drop, labelled_rows, noisy_labels, present_rows
from masam_jax.data.on_disk import Data

# Streams of the corruption seed; missing training and test rows are drawn apart.
_MISSING_IN = {"train": 0, "test": 1}
# Of a step's key, which dropout draws from by the number of a modality; and of the corruption seed.
_NOISE = {"train": 40, "test": 41}


class Corruption(NamedTuple):
    """Labels and presence as training and evaluation see them.

    Attributes:
      splits: of each seed, with the training rows that are left.
      train_labels: int32 ``[S, N]`` or ``[S, N, K]``, wrong ones included; evaluation has the
        data's own. Of regression, the targets in their own units.
      flipped: for each seed the rows whose training label was made wrong.
      present: ``"train"`` or ``"test"`` -> modality -> bool ``[N]``, the rows that have it by the
        configuration; empty where none lacks any.
    """

    splits: tuple[Split, ...]
    train_labels: np.ndarray
    flipped: tuple[np.ndarray, ...]
    present: dict[str, dict[str, np.ndarray]]


def corrupt(
    config: CorruptionConfig, data: Data, splits: Sequence[Split], seeds: Sequence[int]
) -> Corruption:
    """Draws what the configuration asks for; the same for every training seed with the same rows.

    Raises:
      ValueError: a modality that the data do not have, all of them missing at test time, or too few
        samples.
    """
    seed = config.corruption_seed
    foreign = sorted(set(config.missing_at_test) - set(data.modalities))
    if foreign:
        raise ValueError(
            f"missing_at_test names {foreign}; the modalities are {list(data.modalities)}."
        )
    if set(config.missing_at_test) >= set(data.modalities):
        raise ValueError("missing_at_test names every modality; one must remain.")
    _check_noisy(config, data)
    if data.is_regression and config.label_noise:
        raise ValueError("label_noise needs classes; these data are for regression.")
    if config.label_fraction < 1:
        # Targets are no classes to stratify by either.
        labels = np.zeros((len(data), 1), np.int32) if data.is_regression else data.labels
        splits = [
            split._replace(
                train=labelled_rows(labels, split.train, fraction=config.label_fraction, seed=seed)
            )
            for split in splits
        ]
    labels = np.broadcast_to(data.labels, (len(seeds), *data.labels.shape))
    flipped = tuple(np.empty(0, np.int32) for _ in seeds)
    if config.label_noise:
        noisy = [
            noisy_labels(
                data.labels,
                split.train,
                num_classes=data.num_classes,
                kind=config.label_noise_kind,
                rate=config.label_noise,
                seed=seed,
            )
            for split in splits
        ]
        labels = np.stack([each.labels for each in noisy])
        flipped = tuple(each.flipped for each in noisy)
    return Corruption(tuple(splits), labels, flipped, _presence(config, data))


def _check_noisy(config: CorruptionConfig, data: Data) -> None:
    if config.input_noise_of and config.input_noise is None:
        raise ValueError("input_noise_of needs input_noise, the ratio in dB.")
    for m in config.input_noise_of:
        if m not in data.modalities:
            raise ValueError(f"input_noise_of: {unknown('modality', m, data.modalities)}")
        if data.modality_specs[m].kind == "tokens":
            raise ValueError(f"input_noise_of: {m!r} has tokens, which noise cannot be added to.")


def _presence(config: CorruptionConfig, data: Data) -> dict[str, dict[str, np.ndarray]]:
    present: dict[str, dict[str, np.ndarray]] = {}
    for part, stream in _MISSING_IN.items():
        rates = dict.fromkeys(data.modalities, 0.0)
        if config.missing_in in (part, "all"):
            rates = dict.fromkeys(data.modalities, config.missing)
        if part == "test":
            rates |= dict.fromkeys(config.missing_at_test, 1.0)
        if any(rates.values()):
            # Two parts of one seed: draws of the one say nothing about the other.
            draw_seed = 2 * config.corruption_seed + stream
            present[part] = present_rows(len(data.labels), data.modalities, rates, draw_seed)
    return present


def still_present(
    config: CorruptionConfig,
    part: str,
    asked: Mapping[str, np.ndarray],
    own: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """What rows have: what they had, less what the configuration takes away.

    A row that would be left with nothing keeps what it had, but for ``missing_at_test``.

    Args:
      config: the configuration.
      part: ``"train"`` or ``"test"``.
      asked: modality -> bool, of `Corruption.present`; empty where nothing is taken away.
      own: modality -> bool of the same shape, in the data; empty where no row lacks any.
    """
    if not asked or not own:
        return dict(asked or own)
    left = {m: found & asked[m] for m, found in own.items()}
    nothing = ~np.any(list(left.values()), axis=0)
    taken = config.missing_at_test if part == "test" else ()
    return {m: has if m in taken else has | (own[m] & nothing) for m, has in left.items()}


def corrupt_inputs(
    config: CorruptionConfig,
    part: str,
    inputs: Mapping[str, Any],
    present: Mapping[str, jax.Array],
    rows: jax.Array,
    step_key: jax.Array,
) -> dict[str, Any]:
    """Standardised inputs of one seed's batch, noisy where asked for, zeros where missing.

    For use inside ``jit``.

    Args:
      config: the configuration.
      part: ``"train"`` or ``"test"``.
      inputs: modality -> ``[B, ...]``.
      present: modality -> bool ``[B]``; empty where nothing is missing.
      rows: ``[B]``; noise at test time is always the same for a row.
      step_key: raw PRNG key of a training step, from which its noise is drawn.
    """
    inputs = dict(inputs)
    if config.input_noise is not None and config.input_noise_in in (part, "all"):
        index = rows if part == "test" else jax.numpy.arange(len(rows))
        own = seed_key(config.corruption_seed) if part == "test" else step_key
        key = typed_key(fold_raw(own, _NOISE[part]))
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
        inputs = add_noise(inputs, config.input_noise, keys, config.input_noise_of or None)
    return drop(inputs, present) if present else inputs
