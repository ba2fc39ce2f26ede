"""The cases of the study: a data set, how many labels, what is wrong with them, which optimizer.

Lengths and learning rates are fixed beforehand, alike for all methods, and no step is chosen by a
score: what is reported is the network after the last step.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

OPEN_SETS = ("mfeat", "leaves100", "av_mnist", "av_mnist:speakers=held_out")
"""Real data that ship with the package."""
CONSTRUCTED = (
    "synthetic:case=competition",
    "synthetic:dominance=8/1",
    "synthetic:dominance=8/1,shared=1",
)
"""Data of which is known which modality drowns which."""

_FEW: dict[str, Any] = {"batch_size": 100, "steps": 600}
_SMALL_BATCHES: dict[str, Any] = {"batch_size": 50, "steps": 600}
_SGD: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.05}
# Half the usual width: sixteen seeds of convolutions take a while.
_CONV: dict[str, Any] = {"batch_size": 25, "steps": 400, "width": 16, "learning_rate": 2e-3}
_CONV_MANY: dict[str, Any] = {"batch_size": 50}
_PARTS = {"validation_size": 500, "test_size": 1000}


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison of the study.

    Attributes:
      dataset: as ``--dataset`` takes it.
      label: what it is called, unique in its data set.
      options: keywords of `masam_jax.compare`.
      factors: whether every factor has a row here; else the main rows alone.
    """

    dataset: str
    label: str
    options: Mapping[str, Any]
    factors: bool = False

    @property
    def words(self) -> str:
        """The label in the letters of a file name, but for its spaces."""
        return self.label.replace("%", "percent")


def _mfeat(label: str, train: int, *, factors: bool = False, **options: Any) -> Case:
    return Case("mfeat", label, {"train_size": train, **_FEW, **options}, factors)


def _leaves(label: str, train: int, *, factors: bool = False, **options: Any) -> Case:
    parts = {"validation_size": 300, "test_size": 500}
    return Case("leaves100", label, {"train_size": train, **parts, **_FEW, **options}, factors)


def _digits(dataset: str, label: str, train: int, *, factors: bool = False, **options: Any) -> Case:
    return Case(dataset, label, {"train_size": train, **_PARTS, **_CONV, **options}, factors)


_NOISY: dict[str, Any] = {
    "input_noise": 0.0,
    "input_noise_in": "all",
    "input_noise_of": ("fac",),
}
_HELD_OUT = "av_mnist:speakers=held_out"
_TRANSFORMERS: dict[str, Any] = {
    "encoders": ("audio=vision_transformer", "image=vision_transformer")
}

CASES = (
    _mfeat("few labels", 100, factors=True),
    _mfeat("many labels", 500, **_SMALL_BATCHES),
    _mfeat("20 % wrong labels", 200, label_noise=0.2),
    _mfeat("40 % wrong labels", 200, label_noise=0.4, factors=True),
    _mfeat(
        "one noisy modality", 200, input_noise=0.0, input_noise_in="all", input_noise_of=("fac",)
    ),
    _mfeat("momentum SGD", 200, **_SGD),
    _leaves("few labels", 400, factors=True),
    _leaves("many labels", 800, **_SMALL_BATCHES),
    _leaves("20 % wrong labels", 800, label_noise=0.2),
    _leaves("momentum SGD", 400, **_SGD),
    *(
        Case(name, "few labels", {"train_size": 100, **_FEW}, factors=name == CONSTRUCTED[0])
        for name in CONSTRUCTED
    ),
    _digits(_HELD_OUT, "few labels", 300, factors=True),
    _digits(_HELD_OUT, "momentum SGD", 300, **_SGD),
    _digits(_HELD_OUT, "transformers", 300, **_TRANSFORMERS),
    _digits("av_mnist", "few labels", 300),
    _digits("av_mnist", "20 % wrong labels", 600, label_noise=0.2),
    _digits(_HELD_OUT, "many labels", 1500, **_CONV_MANY),
    _digits("av_mnist", "many labels", 1500, **_CONV_MANY),
)
"""All of them, in the order in which they are trained."""


def cases_of(dataset: str) -> tuple[Case, ...]:
    """The cases of a data set; for one that has none, a single case with its own settings."""
    found = tuple(case for case in CASES if case.dataset == dataset)
    return found or (Case(dataset, "own settings", {}, factors=True),)
