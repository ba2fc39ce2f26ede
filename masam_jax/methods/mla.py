"""MLA: every modality trains in turn through one head, away from what other modalities left."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import scalar_losses
from masam_jax.core.numerics import accumulation_dtype, inverse_norm, norm
from masam_jax.core.partition import Labels, path_name, resolve_partition
from masam_jax.core.signal_checks import require_entries, require_structure
from masam_jax.core.specs import Options, check_number, check_sizes, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.method import Method
from masam_jax.methods.mla_projection import absorb, project
from masam_jax.methods.objective import (
    Logits,
    Network,
    Objective,
    Outcome,
    Present,
    require_one_class,
    unimodal_losses,
)
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.schedule import Schedule
from masam_jax.methods.search import LogUniform

HEAD = "method/head/kernel"
"""Where the shared head's kernel is among a network's parameters."""


class MlaState(NamedTuple):
    """The state of `mla`.

    Attributes:
      step: int32 scalar, the batches that all modalities have been through.
      root: ``[H, H]``, S of the projection P = S Sᵀ; the identity at first.
      report: ``‖P g‖ / ‖g‖`` of each modality's last update as ``kept_gradient``, 0 where g is; see
        `method_report`.
    """

    step: jax.Array
    root: jax.Array
    report: Report


def mla(
    labels: Labels,
    *,
    head: str = HEAD,
    alpha: float = 0.1,
    steps_per_epoch: int = 1,
    other: str = "other",
) -> optax.GradientTransformationExtraArgs:
    r"""The gradient of a shared head, kept orthogonal to the features of earlier updates.

    With the batch's mean feature r of the modality in turn, and batch b of B in the epoch,

    $$
    \begin{aligned}
    g &\leftarrow P g \\
    k &= P r, \qquad a = \alpha^{1 + b / B}, \qquad P \leftarrow P - \frac{k k^\top}{a + r^\top k}
    \end{aligned}
    $$

    g being the gradient of the head's kernel, ``[H, ...]``. P is the identity at first and never
    starts anew. It meets g before it takes in r: a modality's step on the head leaves the outputs
    for the mean features of all earlier updates as they were, the modality before it above all, up
    to the damping a. All other updates pass.

    ``update`` reads the signal ``mean_features={modality: [H]}`` and the static ``phase``, the
    modality in turn, which comes in the sorted order of modalities. Without a phase one update
    serves them all: P g first, then every r in that order. A modality that is absent (``present``)
    or whose features are not finite leaves P alone.

    Args:
      labels: the modality of each parameter, as `masam` takes them.
      head: the path of the shared head's kernel, its keys joined with ``/``.
      alpha: α in (0, 1], the damping's base.
      steps_per_epoch: B, the batches of an epoch.
      other: the label of the leaves that belong to no modality.

    Returns:
      The transformation, with an `MlaState`.

    Raises:
      ValueError: an argument is out of range, no parameter has the path ``head`` or it is a scalar,
        the phase is no modality, or the mean features of a modality in turn are missing or have
        another size than the head.

    Differences from the release:
      - The release looks for a parameter ``module.weight`` in a layer that names it ``weight``, so
        that its head is never projected. What follows is about that code if it ran.
      - It takes in r before it projects, which makes the gradient orthogonal to the present
        modality's own mean feature; the rule names the previous modality's.
      - It divides by the matrix ``a + k rᵀ`` entry by entry, not by the number ``a + r · k``.
      - It divides P by its Frobenius norm after every update; the rule has no such thing.
      - Its very first update leaves P alone; here too it passes unchanged, and then counts.
      - P is kept as a root, which changes no number but rounding.

    References:
      Xiaohui Zhang, Jaehong Yoon, Mohit Bansal, Huaxiu Yao. Multimodal Representation Learning by
      Alternating Unimodal Adaptation. CVPR 2024 (the head's projected gradient).
      https://arxiv.org/abs/2311.10707
    """
    check_number("alpha", alpha, "(0, 1]")
    check_sizes(steps_per_epoch=steps_per_epoch)

    def init_fn(params: optax.Params) -> MlaState:
        modalities = resolve_partition(labels, params, other).modalities
        size = 0
        # optax.tree.map_params initialises with an empty placeholder.
        if leaves := jax.tree.leaves(params):
            size = leaves[_find(head, params)].shape[0]
        dtype = accumulation_dtype(params)
        kept = {m: jnp.zeros((), dtype) for m in modalities}
        return MlaState(
            jnp.zeros((), jnp.int32), jnp.eye(size, dtype=dtype), {"kept_gradient": kept}
        )

    def update_fn(
        updates: optax.Updates,
        state: MlaState,
        params: optax.Params | None = None,
        *,
        phase: str | None = None,
        **signals: Any,
    ) -> tuple[Any, MlaState]:
        require_structure({"updates": updates}, updates if params is None else params)
        modalities = resolve_partition(labels, updates if params is None else params, other)[1]
        if phase is not None and phase not in modalities:
            raise ValueError(f"phase is {phase!r}; the modalities are {list(modalities)}")
        turn = modalities if phase is None else (phase,)
        features = _read_features(signals, turn, state.root)
        leaves, structure = jax.tree.flatten(updates)
        position = _find(head, updates)
        gradient = leaves[position]
        leaves[position] = project(state.root, leaves[position])
        dtype = state.root.dtype
        share = norm([leaves[position]], dtype) * inverse_norm([gradient], dtype)
        kept = state.report["kept_gradient"] | dict.fromkeys(turn, share)
        batch = (state.step % steps_per_epoch).astype(state.root.dtype)
        damping = jnp.asarray(alpha, state.root.dtype) ** (1 + batch / steps_per_epoch)
        root = state.root
        for feature in features:
            root = absorb(root, feature, damping)
        ends = turn[-1] == modalities[-1]
        step = optax.safe_increment(state.step) if ends else state.step
        return jax.tree.unflatten(structure, leaves), MlaState(step, root, {"kept_gradient": kept})

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _find(head: str, tree: chex.ArrayTree) -> int:
    """The position of the head's kernel among the leaves of ``tree``."""
    named = [(path_name(path), leaf) for path, leaf in jax.tree.flatten_with_path(tree)[0]]
    for position, (name, leaf) in enumerate(named):
        if name == head:
            if jnp.ndim(leaf) == 0:
                raise ValueError(f"head={head!r} is a scalar; a kernel [H, ...] is needed")
            return position
    raise ValueError(
        f"head={head!r} is the path of no parameter; they are {[name for name, _ in named]}"
    )


def _read_features(
    signals: Mapping[str, Any], turn: tuple[str, ...], root: jax.Array
) -> list[jax.Array]:
    """The mean features of the modalities in turn, zero where they do not count."""
    given = signals.get("mean_features")
    if not isinstance(given, Mapping):
        raise ValueError(
            "mla misses the signal 'mean_features': pass mean_features={modality: [H]} to update,"
            f" for {list(turn)}; got {given!r}"
        )
    require_entries("mean_features", given, turn)
    size = root.shape[0]
    shapes = {m: jnp.shape(given[m]) for m in turn if jnp.shape(given[m]) != (size,)}
    if shapes:
        raise ValueError(f"mean_features have shapes {shapes}; the head takes features ({size},)")
    present = signals.get("present") or {}
    features = []
    for m in turn:
        feature = jnp.asarray(given[m]).astype(root.dtype)
        counts = jnp.all(jnp.isfinite(feature)) & jnp.asarray(present.get(m, True), bool)
        features.append(jnp.where(counts, feature, 0))
    return features


@dataclasses.dataclass(frozen=True)
class MlaObjective(Objective):
    r"""Cross-entropy of each modality through one shared head, and a vote by certainty at test.

    With the entropy $H_m$ of each modality's probabilities $p_m$ of a sample,

    $$
    p = \sum_m w_m p_m, \qquad w_m \propto \exp(\max_j H_j - H_m)
    $$

    Predicted logits are $\log p$. The network's own fusion and unimodal heads are not used,
    and nothing but the base optimizer's weight decay moves them.

    Differences from the release:
      - The release takes softmax over the samples of the batch and one entropy of all of them, so
        that a prediction depends on the rest of the batch; here each sample has its own.
      - It sums weighted logits, here weighted probabilities are summed.
      - In its torch (1.8) gradients are zeroed between phases, not dropped: momentum and weight
        decay move an encoder again in the later phases of its batch.
    """

    takes_tokens: ClassVar[bool] = False

    def init_params(self, network: Network, key: chex.PRNGKey) -> dict[str, Any]:
        """``{"head": {"kernel": [H, C], "bias": [C]}}``, Glorot normal and zero.

        Raises:
          ValueError: features of the modalities differ in size, or samples have several labels.
        """
        require_one_class(network, "mla")
        sizes = network.feature_sizes
        if len(set(sizes.values())) != 1:
            raise ValueError(
                "mla trains one head for all modalities, whose features must have one size; found"
                f" feature sizes {sizes}"
            )
        shape = (next(iter(sizes.values())), network.num_classes)
        kernel = jax.nn.initializers.glorot_normal()(key, shape, jnp.float32)
        return {"head": {"kernel": kernel, "bias": jnp.zeros_like(kernel[0])}}

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: Any,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The cross-entropy of the modality in turn (of several, their sum)."""
        logits, unimodal_logits = self.predict(network, params, features, state)
        unimodal = unimodal_losses(network, unimodal_logits, labels, present, weights)
        if len(unimodal) == 1:
            return Outcome(next(iter(unimodal.values())), unimodal, logits)
        _, scalars = scalar_losses(jnp.zeros(()), unimodal)
        return Outcome(jnp.sum(jnp.stack(list(scalars.values()))), unimodal, logits)

    def predict(
        self, network: Network, params: optax.Params, features: Features, state: Any
    ) -> Logits:
        """``(log p [B, C], {m: logits [B, C]})``, over the modalities of ``features``."""
        del network, state
        head = params["method"]["head"]
        unimodal = {m: f @ head["kernel"] + head["bias"][None] for m, f in features.items()}
        wide = jnp.stack(list(unimodal.values())).astype(accumulation_dtype(unimodal))
        log_p = jax.nn.log_softmax(wide)
        entropy = jnp.sum(jax.scipy.special.entr(jnp.exp(log_p)), axis=-1, keepdims=True)
        return jax.nn.logsumexp(jax.nn.log_softmax(-entropy, axis=0) + log_p, axis=0), unimodal


@dataclasses.dataclass(frozen=True)
class MlaOptions(Options):
    """Options of the method ``mla``.

    Attributes:
      alpha: α in (0, 1], the damping of the projection is α^(1 + b/B) at batch b of B.
    """

    alpha: float = option(0.1, "(0, 1]", "α={}")


MLA = register(
    Method(
        name="mla",
        summary="modalities in turn through one head, whose gradient is projected; entropy vote",
        options=MlaOptions,
        build=built_by(mla),
        objective=lambda options, context: MlaObjective(),
        schedule=lambda options: Schedule(by_modality=True),
        title=titled("MLA"),
        signals=("mean_features",),
        reports={"kept_gradient": "‖Pg‖ / ‖g‖, what the projection leaves of the head's gradient"},
        search={"alpha": LogUniform(1e-3, 1.0)},
    )
)
