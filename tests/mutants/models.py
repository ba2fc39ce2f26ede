"""Breaks the fusion heads, and the signals of a batch that methods read."""

from tests.mutants.mutant import in_file

FUSION = ("tests/models/test_fusion.py",)
CONTRIBUTIONS = ("tests/models/test_contributions.py", "tests/models/test_method_signals.py")
CONVOLUTION = ("tests/models/test_convolution.py",)
SIGNALS = ("tests/training/test_multi_label.py", "tests/models/test_method_signals.py")

MUTANTS = (
    *in_file(
        "models/fusion.py",
        FUSION,
        (
            "concat: every modality's logits have the whole bias",
            "parameters.bias[...] / len(self._sizes)",
            "parameters.bias[...]",
        ),
        (
            "concat: every modality has the first rows",
            "kernel[start : start + size]",
            "kernel[:size]",
        ),
        (
            "concat: the order is the caller's",
            "for m in self._sizes], axis",
            "for m in features], axis",
        ),
    ),
    *in_file(
        "models/sum_fusion.py",
        FUSION,
        (
            "logits are averaged",
            "functools.reduce(operator.add, logits.values())",
            "functools.reduce(operator.add, logits.values()) / len(logits)",
        ),
        (
            "a modality's own logits are without its bias",
            "{m: self.dense[m](features[m]) for m in sorted(features)}",
            "{m: features[m] @ self.dense[m].kernel[...] for m in sorted(features)}",
        ),
    ),
    *in_file(
        "models/sequence_inputs.py",
        ("tests/models/test_sequence_inputs.py",),
        (
            "the first step may be padding",
            "first = jnp.where(mask, steps, mask.shape[-1]).min(axis=-1, keepdims=True)",
            "first = jnp.zeros_like(steps[..., :1])",
        ),
    ),
    *in_file(
        "models/film_fusion.py",
        FUSION,
        ("γ is learnt, not 1 + Δγ", "(1 + change) *", "change *"),
        (
            "the shift is left out",
            "hidden.astype(change.dtype) + shift",
            "hidden.astype(change.dtype)",
        ),
        ("scale and shift change places", "change, shift = jnp.split", "shift, change = jnp.split"),
    ),
    *in_file(
        "models/gated_fusion.py",
        FUSION,
        ("the gates are of tanh", "nnx.sigmoid(self.project", "nnx.tanh(self.project"),
        ("the gates add", "hidden * nnx.sigmoid", "hidden + nnx.sigmoid"),
        ("the gated modality gates itself too", "if m != self._gated:", "if True:"),
    ),
    *in_file(
        "models/conditioning.py",
        FUSION,
        ("the first modality is acted upon", "return modalities[-1]", "return modalities[0]"),
        ("a modality alone is not seen", "{**zeros, modality: kept}", "{modality: kept, **zeros}"),
    ),
    *in_file(
        "models/attention_fusion.py",
        ("tests/models/test_attention_fusion.py",),
        ("a modality's token is read", "tokens, mask))[:, 0]", "tokens, mask))[:, -1]"),
    ),
    *in_file(
        "models/shapley.py",
        ("tests/models/test_shapley.py",),
        (
            "all subsets count the same, as in Banzhaf's value",
            "1.0 / (len(players) * math.comb(len(players) - 1, len(subset)))",
            "1.0 / 2 ** (len(players) - 1)",
        ),
        (
            "what a modality is worth alone is taken off",
            "worth[subset | {player}] - without",
            "worth[subset | {player}] - worth[frozenset({player})]",
        ),
    ),
    *in_file(
        "models/contributions.py",
        CONTRIBUTIONS,
        ("what is named is masked", "f if m in subset else", "f if m not in subset else"),
        ("no modality at all has a worth", "if not subset:", "if False:"),
        ("a masked modality is an input of ones", "return jnp.zeros((1,", "return jnp.ones((1,"),
    ),
    *in_file(
        "models/method_signals.py",
        SIGNALS,
        (
            "the confidence is a mean",
            "jax.nn.softmax(logits), labels[:, None], axis=-1).sum()",
            "jax.nn.softmax(logits), labels[:, None], axis=-1).mean()",
        ),
        (
            "the confidence in a label is that it is true",
            "jnp.where(labels > 0, ones, 1 - ones)",
            "ones",
        ),
        ("the confidence in labels is a sum", ".mean(axis=-1).sum()", ".sum()"),
        (
            "modalities are worth their loss",
            "return -mean_loss(batch.network.sample_loss, logits, batch.labels)",
            "return mean_loss(batch.network.sample_loss, logits, batch.labels)",
        ),
        (
            "the response losses are of modalities' own parts",
            "modal_responses(batch.network, batch.params, batch.features, batch.blank)",
            "batch.network.modality_logits(batch.params, batch.features)",
        ),
        ("features are added", "widen(f).mean(axis=0)", "widen(f).sum(axis=0)"),
        (
            "signals are differentiated",
            "*jax.lax.stop_gradient((params, dict(features)))",
            "*(params, dict(features))",
        ),
    ),
    *in_file(
        "models/cpu_convolution.py",
        CONVOLUTION,
        (
            "taps of one row of the kernel are not spread by its dilation",
            "k * (form.rhs_dilation[axis] if form.rhs_dilation else 1)",
            "k",
        ),
        ("taps are taken without a stride", "steps[axis + 1] = stride", "steps[axis + 1] = 1"),
        (
            "the first turn alone counts",
            "total = jax.lax.fori_loop(1, turns,",
            "total = jax.lax.fori_loop(1, 1,",
        ),
        (
            "products of half precision add up in half precision",
            "wide = jnp.float32 if is_narrow(y.dtype) else y.dtype",
            "wide = y.dtype",
        ),
        (
            "the kernel is not flipped",
            "flipped = jnp.flip(jnp.transpose(kernel, _kernel_axes(form)), spatial)",
            "flipped = jnp.transpose(kernel, _kernel_axes(form))",
        ),
        (
            "strides and dilation of the kernel's gradient change places",
            "window_strides=form.rhs_dilation or (1,) * len(edges)",
            "window_strides=form.window_strides",
        ),
        (
            "the cut border gets a gradient",
            "before = window - 1 - low",
            "before = window - 1",
        ),
    ),
    *in_file(
        "models/convolution.py",
        CONVOLUTION,
        (
            "an operand that all share has the gradients of all",
            "return result.sum(shared) if shared else result",
            "return result",
        ),
        (
            "the new axis comes last",
            "missing=missing, levels=(level, *levels)), 0",
            "missing=missing, levels=(*levels, level)), 0",
        ),
        (
            "the cotangent of the other operand is taken",
            "missing=roles[position],",
            "missing=roles[other],",
        ),
    ),
)
