"""A late-fusion loss in two parts, so that the second pass runs one encoder instead of all."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from masam_jax.core.dependence import inputs_read
from masam_jax.core.partition import Partition, path_name
from masam_jax.core.specs import check_flag

Features = Mapping[str, jax.Array]
"""Modality -> its features, ``[B, H_m]`` where nothing else is said."""


@dataclasses.dataclass(frozen=True, eq=False)
class LateFusion:
    """Encoders, and the objective over their features; stands in for a ``loss_fn``.

    The other encoders' features are reused at the perturbed point, where only the dominant
    encoder runs again: ``(5M + 3) / (3M)`` times the cost of late fusion for M encoders of equal
    cost (forward 1, backward 2; two pullbacks of each, then the dominant encoder once more).

    Attributes:
      encoders: for each modality ``fn(params, *args) -> features`` (any tree of arrays). An
        encoder may read leaves labelled with its own modality and leaves labelled ``other``,
        never those of another modality.
      objective: ``fn(params, features, *args) -> (fusion_loss, {modality: unimodal_loss})`` with
        ``features = {modality: features}``, scalar losses, and ``aux`` third under ``has_aux``. A
        unimodal loss may depend on its own modality's features alone.
      check_encoders: whether ``masam`` checks that no encoder reads another modality's leaves. The
        check follows values through the encoder's program, and takes what it cannot follow as read;
        with False it is yours to see to. An encoder that does read others' leaves then gives a
        wrong second gradient, silently.

    Raises:
      ValueError: no encoder, a name that is no string, or something that cannot be called.
    """

    encoders: Mapping[str, Callable[..., Any]]
    objective: Callable[..., Any]
    check_encoders: bool = True

    def __post_init__(self) -> None:
        """Checks the fields, and sorts the encoders by name."""
        if not isinstance(self.encoders, Mapping) or not self.encoders:
            raise ValueError(
                f"encoders must map at least one modality to a function, got {self.encoders!r}"
            )
        for name, encoder in self.encoders.items():
            if not isinstance(name, str):
                raise ValueError(f"encoders must be keyed by strings, got {name!r}")
            if not callable(encoder):
                raise ValueError(f"encoders[{name!r}] must be callable, got {encoder!r}")
        if not callable(self.objective):
            raise ValueError(f"objective must be callable, got {self.objective!r}")
        check_flag("check_encoders", self.check_encoders)
        object.__setattr__(self, "encoders", dict(sorted(self.encoders.items())))

    def __call__(self, params: optax.Params, *args: Any) -> Any:
        """The losses, as a plain ``loss_fn`` gives them."""
        features = {m: encoder(params, *args) for m, encoder in self.encoders.items()}
        return self.objective(params, features, *args)


def check_separate_encoders(
    late_fusion: LateFusion, params: optax.Params, args: tuple[Any, ...], partition: Partition
) -> None:
    """Checks that every modality's features depend on no other modality's parameters.

    Raises:
      ValueError: an encoder reads a leaf labelled with another modality, so that reusing its
        features at the perturbed point would be wrong; or a modality has no encoder.
    """
    without_encoder = [m for m in partition.modalities if m not in late_fusion.encoders]
    if without_encoder:
        raise ValueError(
            f"the modalities {without_encoder} of the labels have no encoder; LateFusion has"
            f" {list(late_fusion.encoders)}"
        )
    if not late_fusion.check_encoders:
        return
    paths = [path_name(path) for path, _ in jax.tree.leaves_with_path(params)]
    for m, encoder in late_fusion.encoders.items():
        read = inputs_read(lambda tree, run=encoder: run(tree, *args), params)  # type: ignore[misc]
        for path, label, is_read in zip(paths, partition.leaf_labels, read, strict=True):
            if is_read and label != m and label in partition.modalities:
                raise ValueError(
                    f"LateFusion: the encoder {m!r} reads {path!r}, which is labelled {label!r}."
                    " Label shared parameters as belonging to no modality, or use a plain loss_fn"
                    " with shared_parameters=True. Should it not read them: what the check cannot"
                    " follow (whole trees through callbacks, kernels, scatter) counts as read; pass"
                    " the encoder's inner function its own subtree of params alone, or set"
                    " LateFusion(..., check_encoders=False)"
                )


def reads_other_labels(
    late_fusion: LateFusion, params: optax.Params, args: tuple[Any, ...], partition: Partition
) -> bool:
    """Whether any encoder reads a leaf that is labelled as belonging to no modality.

    The fusion gradient of such leaves at the perturbed point takes every encoder, not one alone.
    """
    belongs_to_none = [label not in partition.modalities for label in partition.leaf_labels]
    for encoder in late_fusion.encoders.values():
        read = inputs_read(lambda tree, run=encoder: run(tree, *args), params)  # type: ignore[misc]
        if any(a and b for a, b in zip(read, belongs_to_none, strict=True)):
            return True
    return False
