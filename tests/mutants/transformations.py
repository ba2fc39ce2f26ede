"""Breaks the methods that are a transformation of gradients."""

from tests.mutants.mutant import in_file

SHARPNESS = ("tests/methods/test_asam.py", "tests/methods/test_sam.py")
MODULATION = ("tests/methods/test_agm.py", "tests/methods/test_ogm_ge.py")

MUTANTS = (
    *in_file(
        "methods/recommended.py",
        ("tests/methods/test_recommended.py",),
        (
            "changes are overwritten",
            "return masam(labels, **{**RECOMMENDED, **changes})",
            "return masam(labels, **{**changes, **RECOMMENDED})",
        ),
    ),
    *in_file(
        "methods/whole_model.py",
        SHARPNESS,
        ("the perturbation points downhill", "(param + step)", "(param - step)"),
        (
            "the clean gradient stays",
            "jax.tree.map(add_difference, updates, perturbed, clean)",
            "jax.tree.map(lambda u, g, _: u + g, updates, perturbed, clean)",
        ),
        ("T acts once", "scale * t * step", "scale * step"),
        (
            "the radius grows with the gradient's norm",
            "jnp.asarray(radius, dtype) * inverse_norm(jax.tree.leaves(normalized), dtype)",
            "jnp.asarray(radius, dtype)",
        ),
        (
            "the norm is that of g, not of T g",
            "inverse_norm(jax.tree.leaves(normalized), dtype)",
            "inverse_norm(jax.tree.leaves(clean), dtype)",
        ),
        (
            "a perturbed gradient that is not finite is used",
            "keep = (scale != 0) & all_finite(jax.tree.leaves(corrected))",
            "keep = scale != 0",
        ),
    ),
    *in_file(
        "methods/sam.py",
        ("tests/methods/test_sam.py",),
        ("the schedule stands still", "SamState(optax.safe_increment(state.count))", "state"),
        ("ρ is squared", "signals, radius=radius,", "signals, radius=radius**2,"),
        ("λ is ignored", "loss_weight=lambda options: options.weight", "loss_weight=lambda _: 1.0"),
    ),
    *in_file(
        "methods/asam.py",
        ("tests/methods/test_asam.py",),
        ("the schedule stands still", "AsamState(optax.safe_increment(state.count))", "state"),
    ),
    *in_file(
        "core/normalization.py",
        ("tests/methods/test_asam.py",),
        ("a bias counts as a weight", "if param.ndim < 2:", "if param.ndim < 1:"),
        (
            "η is left out",
            "return jnp.abs(param) + jnp.asarray(eta, param.dtype)",
            "return jnp.abs(param)",
        ),
        (
            "weights keep their sign",
            "return jnp.abs(param) + jnp.asarray(eta, param.dtype)",
            "return param + jnp.asarray(eta, param.dtype)",
        ),
    ),
    *in_file(
        "methods/m_sam.py",
        ("tests/methods/test_m_sam.py",),
        (
            "the smallest value is dominant",
            "jnp.argmax(jnp.where(eligible, values, -jnp.inf))",
            "jnp.argmin(jnp.where(eligible, values, jnp.inf))",
        ),
        (
            "the radius grows with the gradient's norm",
            "scale = radius * inverse_norm(partition.leaves(fusion_grads, m), dtype)",
            "scale = radius",
        ),
        (
            "an absent modality may be dominant",
            "jnp.isfinite(values) & here.astype(bool)",
            "jnp.isfinite(values)",
        ),
        (
            "without a finite value the first is perturbed",
            "jnp.where(jnp.any(eligible), best, jnp.full_like(best, CLEAN))",
            "best",
        ),
        ("the schedule stands still", "optax.safe_increment(state.count)", "state.count"),
    ),
    *in_file(
        "methods/masam.py",
        (
            "tests/methods/test_registry.py",
            "tests/methods/test_masam.py",
            "tests/config/published/test_settings.py",
        ),
        ("λ is ignored", "loss_weight=lambda options: options.weight", "loss_weight=lambda _: 1.0"),
        ("α weighs alignment", "alpha: float = option(0.8,", "alpha: float = option(0.2,"),
        ("β weighs the new loss", "beta: float = option(0.91,", "beta: float = option(0.09,"),
        (
            "α and β stay as they are by default",
            "build=built_by(masam)",
            "build=built_by(lambda labels, rho, select: masam(labels, rho=rho, select=select))",
        ),
    ),
    *in_file(
        "methods/held_out_choice.py",
        ("tests/methods/test_held_out_choice.py",),
        (
            "samples that are trained on choose",
            'probe.losses(params, "held_out")',
            'probe.losses(params, "fit")',
        ),
        (
            "a mean over no sample is the lowest loss",
            "jnp.where(loss == 0, jnp.inf, loss)",
            "loss",
        ),
    ),
    *in_file(
        "methods/modulation.py",
        MODULATION,
        (
            "an absent modality is modulated",
            "usable = here & jnp.isfinite(values)",
            "usable = jnp.isfinite(values)",
        ),
        (
            "a value that is not finite counts",
            "usable = here & jnp.isfinite(values)",
            "usable = here",
        ),
        ("biases are matrices", "leaf.ndim >= 2", "leaf.ndim >= 1"),
        ("matrices are convolutions", "leaf.ndim == 4", "leaf.ndim >= 2"),
        (
            "modalities change places",
            "zip(partition.modalities, factors, strict=True)",
            "zip(partition.modalities, factors[::-1], strict=True)",
        ),
    ),
    *in_file(
        "methods/ogm_ge.py",
        ("tests/methods/test_ogm_ge.py",),
        (
            "the ratio is to the others' sum",
            "others = total / jnp.maximum(count, 1).astype(confidence.dtype)",
            "others = total",
        ),
        ("λ is ignored", "loss_weight=lambda options: options.weight", "loss_weight=lambda _: 0.0"),
        ("k is 1 + tanh", "1 - jnp.tanh(alpha * ratio)", "1 + jnp.tanh(alpha * ratio)"),
        ("who is behind is held back", "(confidence > others)", "(confidence < others)"),
        (
            "the noise is of the modulated gradient's size",
            "gradient = jax.tree.leaves(gradients)[i]",
            "gradient = leaves[i]",
        ),
        ("the deviation is the population's", "ddof=1", "ddof=0"),
        ("all tensors get the same draw", "jax.random.fold_in(key, i)", "key"),
        (
            "all steps get the same noise",
            "draw_key, next_key = split_raw(state.key)",
            "draw_key, next_key = state.key, state.key",
        ),
        (
            "modulation lasts a step too long",
            "state.count < until_step",
            "state.count <= until_step",
        ),
        (
            "the noise never ends",
            "jnp.where(active, jnp.std(gradient.astype(dtype), ddof=1), 0)",
            "jnp.std(gradient.astype(dtype), ddof=1)",
        ),
    ),
    *in_file(
        "methods/agm.py",
        ("tests/methods/test_agm.py",),
        ("r is of log-likelihoods", "(mean - losses)", "(losses - mean)"),
        (
            "r is to the mean of all, not of the others",
            "exponent = size / jnp.maximum(size - 1, 1) * (mean - losses)",
            "exponent = mean - losses",
        ),
        ("τ and r change places", "expected - ratios,", "ratios - expected,"),
        (
            "the excess has no limit",
            "jnp.minimum(expected - ratios, jnp.asarray(limit, dtype))",
            "expected - ratios",
        ),
        (
            "the average forgets",
            "(entry - state.mean) / jnp.maximum(observed, 1).astype(dtype)",
            "(entry - state.mean) / jnp.minimum(jnp.maximum(observed, 1), 2).astype(dtype)",
        ),
        ("an absent modality's average moves", "jnp.where(usable, change, 0)", "change"),
        ("λ is ignored", "loss_weight=lambda options: options.weight", "loss_weight=lambda _: 0.0"),
        (
            "the mean ratio is 0 at first",
            "jnp.where(known, state.mean, 1), ratios",
            "state.mean, ratios",
        ),
        (
            "modulation lasts a step too long",
            "state.count < until_step",
            "state.count <= until_step",
        ),
    ),
    *in_file(
        "methods/mmpareto.py",
        ("tests/methods/test_mmpareto.py", "tests/methods/test_report.py"),
        (
            "the weights are of unit gradients",
            "of_fusion * b, of_fusion * b +",
            "of_fusion, of_fusion +",
        ),
        (
            "the factor is of unit gradients",
            "both = jnp.where(a * b > 0, a * b, one)",
            "both = one",
        ),
        ("conflicting gradients are summed", "agree = dot > 0", "agree = dot < 0"),
        (
            "the two weights change places",
            "jnp.where(agree, a, b * unimodal_square - a * dot)",
            "jnp.where(agree, a, a * fusion_square - b * dot)",
        ),
        ("γ is left out", "jnp.asarray(gamma, dtype) * ratio * unit", "ratio * unit"),
        ("a rounding error is a direction", "jnp.finfo(dtype).eps ** 0.5", "jnp.finfo(dtype).eps"),
        (
            "the length is not that of the sum",
            "jnp.asarray(gamma, dtype) * ratio * unit",
            "jnp.asarray(gamma, dtype) * unit",
        ),
        (
            "the total gradient stays",
            '(g - leaves["total_grads"][i].astype(g.dtype))',
            "g",
        ),
        (
            "the fusion gradient is taken off in the place of the total one",
            'g - leaves["total_grads"][i]',
            'g - leaves["fusion_grads"][i]',
        ),
    ),
    *in_file(
        "methods/info_reg.py",
        ("tests/methods/test_info_reg.py",),
        ("the encoder is pushed away", "factor * (x - start)", "factor * (start - x)"),
        ("the gap is not squashed", "jnp.exp(jnp.tanh(gap))", "jnp.exp(gap)"),
        (
            "the gap is to the others' sum",
            "others / jnp.maximum(count, 1)",
            "others",
        ),
        ("the least confident is pulled", "(own > p[m])", "(own < p[m])"),
        (
            "an absent modality is pulled",
            "jnp.isfinite(own) & present[modality]",
            "jnp.isfinite(own)",
        ),
        ("an absent modality is a rival", "(~present[m] | (", "((False & present[m]) | ("),
        (
            "an absent modality counts in the others' mean",
            "others + jnp.where(present[m], p[m], 0)",
            "others + p[m]",
        ),
        (
            "an absent modality adds to its trace",
            "jnp.where(present[m], trace, jnp.zeros_like(trace))",
            "trace",
        ),
        ("the window is always open", "is_pulled & state.window[m]", "is_pulled"),
        (
            "the change is relative to the mean before",
            "threshold * jnp.mean(last)",
            "threshold * old",
        ),
        ("the change is absolute", "threshold * jnp.mean(last)", "threshold"),
        (
            "a tensor counts by its size",
            "jnp.mean(jnp.square(g.astype(dtype)))",
            "jnp.sum(jnp.square(g.astype(dtype)))",
        ),
        ("the pull is to the first epoch's start", "is_start, x, old", "is_start & False, x, old"),
    ),
)
