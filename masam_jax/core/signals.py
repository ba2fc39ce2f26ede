"""The gradients at another point of the parameters, as signals that may cross ``jit``."""

from typing import Any

import chex
import jax
import numpy as np
import optax

from masam_jax.core.collectives import average, vary
from masam_jax.core.identity import made_of
from masam_jax.core.microbatches import mean_over_microbatches, split_microbatches
from masam_jax.core.partition import Partition
from masam_jax.core.passes import Passes, Pullback, Weighing
from masam_jax.core.reused_keys import clone_keys


class _GradientSignal:
    """A gradient function with the batch it is taken on, as a pytree.

    Arrays and numbers among the operands are the pytree's leaves; everything else in them (flags,
    names, functions) is static, and compared by what it was made of, so that the signal can leave
    one ``jit`` and enter another without a new program at every step.
    """

    def __init__(
        self,
        passes: Passes,
        axis_name: Any,
        microbatches: int,
        weighing: Weighing,
        args: Any,
        features: Any,
        clean_pullback: Pullback | None = None,
    ) -> None:
        self.passes = passes
        self.axis_name = axis_name
        self.microbatches = microbatches
        self.weighing = weighing
        self.args = args
        self.features = features
        # Of the trace that made it: what enters another one has none.
        self.clean_pullback = clean_pullback

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
        """The arrays and numbers among the operands, and all the rest."""
        leaves, structure = jax.tree.flatten((self.weighing, self.args, self.features))
        is_dynamic = tuple(map(_is_dynamic, leaves))
        dynamic = [leaf for leaf, moves in zip(leaves, is_dynamic, strict=True) if moves]
        fixed = tuple(leaf for leaf, moves in zip(leaves, is_dynamic, strict=True) if not moves)
        static = (self.passes, self.axis_name, self.microbatches, structure, is_dynamic, fixed)
        return dynamic, _Static(static)

    @classmethod
    def tree_unflatten(cls, static: Any, dynamic: Any) -> "_GradientSignal":
        """The inverse of ``tree_flatten``."""
        passes, axis_name, microbatches, structure, is_dynamic, fixed = static.parts
        moving, standing = iter(dynamic), iter(fixed)
        leaves = [next(moving) if moves else next(standing) for moves in is_dynamic]
        operands = jax.tree.unflatten(structure, leaves)
        return cls(passes, axis_name, microbatches, *operands)

    def _accumulate(self, gradient: Any) -> Any:
        """The mean of ``gradient(args, features)`` over the microbatches."""
        args = clone_keys(self.args)
        if self.microbatches == 1:
            return gradient(args, self.features)
        parts = (split_microbatches(args, self.microbatches), self.features)
        mean, _ = mean_over_microbatches(
            lambda part: (gradient(*part), ()), parts, self.microbatches, self.axis_name
        )
        return mean


class _Static:
    """The static part of a signal, equal to another that was made of the same."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts
        self._made_of = made_of(parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self._made_of == other._made_of

    def __hash__(self) -> int:
        return hash(self._made_of)


def _is_dynamic(leaf: Any) -> bool:
    """Whether ``leaf`` may enter a ``jit``: an array, or a number that may differ at every step."""
    if isinstance(leaf, bool | str):
        return False
    if isinstance(leaf, int):  # A number that is no array, such as a long seed, stays what it is.
        largest = np.iinfo(jax.dtypes.canonicalize_dtype(np.int64)).max
        return -largest <= leaf <= largest
    return isinstance(leaf, float | complex | jax.Array | np.ndarray | np.generic)


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
        """The same on this device alone, without the mean over devices."""
        local_params = vary(params, self.axis_name)

        def gradient(args: Any, features: Any) -> Any:
            def loss(tree: chex.ArrayTree) -> jax.Array:
                return self.passes.fusion_loss(tree, args, self.weighing, features, modality)

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

            def loss(tree: chex.ArrayTree) -> jax.Array:
                return self.passes.total_loss(tree, args, self.weighing)

            return jax.grad(loss)(local_params)

        return self.average(self._accumulate(gradient))
