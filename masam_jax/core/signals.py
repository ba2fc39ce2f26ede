"""The gradients at another point of the parameters, as signals that may cross ``jit``."""

from typing import Any

import chex
import jax
import numpy as np
import optax

from masam_jax.core.collectives import average, vary
from masam_jax.core.microbatches import mean_over_microbatches, split_microbatches
from masam_jax.core.partition import Partition
from masam_jax.core.passes import Passes


class _GradientSignal:
    """A gradient function with the batch it is taken on, as a pytree.

    Arrays among the operands are the pytree's leaves; everything else in them (flags, names) is
    static, so that the signal can leave one ``jit`` and enter another.
    """

    def __init__(
        self, passes: Passes, axis_name: Any, microbatches: int, args: Any, features: Any
    ) -> None:
        self.passes = passes
        self.axis_name = axis_name
        self.microbatches = microbatches
        self.args = args
        self.features = features

    def average(self, tree: chex.ArrayTree) -> Any:
        """The mean over the devices of the gradient of each."""
        return average(tree, self.axis_name)

    def check_partition(self, params: optax.Params, partition: Partition) -> None:
        """Raises ``ValueError`` where this gradient is not that of ``partition``'s modalities."""
        self.passes.check_partition(params, self.args, partition)

    def other_needs_every_encoder(self, params: optax.Params, partition: Partition) -> bool:
        """Whether one modality's gradient leaves out a part of that of leaves labelled other."""
        return self.passes.other_needs_every_encoder(params, self.args, partition)

    def tree_flatten(self) -> tuple[list[Any], Any]:
        """The arrays among the operands, and all the rest."""
        leaves, structure = jax.tree.flatten((self.args, self.features))
        is_array = tuple(isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves)
        arrays = [leaf for leaf, array in zip(leaves, is_array, strict=True) if array]
        static = tuple(leaf for leaf, array in zip(leaves, is_array, strict=True) if not array)
        rest = (self.passes, self.axis_name, self.microbatches, structure, is_array, static)
        return arrays, rest

    @classmethod
    def tree_unflatten(cls, rest: Any, arrays: Any) -> "_GradientSignal":
        """The inverse of ``tree_flatten``."""
        passes, axis_name, microbatches, structure, is_array, static = rest
        dynamic, fixed = iter(arrays), iter(static)
        leaves = [next(dynamic) if array else next(fixed) for array in is_array]
        return cls(passes, axis_name, microbatches, *jax.tree.unflatten(structure, leaves))

    def _accumulate(self, gradient: Any) -> Any:
        """The mean of ``gradient(args, features)`` over the microbatches."""
        if self.microbatches == 1:
            return gradient(self.args, self.features)
        parts = (split_microbatches(self.args, self.microbatches), self.features)
        mean, _ = mean_over_microbatches(
            lambda part: (gradient(*part), ()), parts, self.microbatches, self.axis_name
        )
        return mean


@jax.tree_util.register_pytree_node_class
class FusionGradient(_GradientSignal):
    """``fusion_grad_fn(params, modality)``: the fusion gradient elsewhere, on the same batch."""

    def __call__(self, params: optax.Params, modality: str | None = None) -> Any:
        """The gradient of the fusion loss at ``params``, a tree like them, averaged over devices.

        Args:
          params: the parameters of the perturbed point.
          modality: the only modality whose parameters differ from the clean point and whose
            gradient is read; None when any may differ. A `LateFusion` reuses all other features.
        """
        return self.average(self.local(params, modality))

    def local(self, params: optax.Params, modality: str | None = None) -> Any:
        """The same on this device alone: what a branch may compute, collectives being outside."""
        local_params = vary(params, self.axis_name)

        def gradient(args: Any, features: Any) -> Any:
            def loss(tree: chex.ArrayTree) -> jax.Array:
                return self.passes.fusion_loss(tree, args, features, modality)

            return jax.grad(loss)(local_params)

        return self._accumulate(gradient)


@jax.tree_util.register_pytree_node_class
class TotalGradient(_GradientSignal):
    """``total_grad_fn(params)``: the gradient of the total loss elsewhere, on the same batch."""

    def __call__(self, params: optax.Params) -> Any:
        """The gradient of the total loss at ``params``, a tree like them, averaged over devices."""
        local_params = vary(params, self.axis_name)

        def gradient(args: Any, features: Any) -> Any:
            del features
            return jax.grad(lambda tree: self.passes.total_loss(tree, args))(local_params)

        return self.average(self._accumulate(gradient))
