"""Breaks MASAM's rule."""

from tests.mutants.mutant import in_file

# From the quickest to the slowest: pytest stops at the first failure.
TESTS = (
    "tests/core/test_masam_arguments.py",
    "tests/core/test_gradients.py",
    "tests/core/test_late_fusion.py",
    "tests/core/test_dependence.py",
    "tests/core/test_signals.py",
    "tests/core/test_microbatches.py",
    "tests/core/test_weighted_mean.py",
    "tests/core/test_masam_properties.py",
    "tests/core/test_masam_degenerate.py",
    "tests/core/test_masam_reference.py",
    "tests/contract/test_contract.py",
)

MUTANTS = (
    *in_file(
        "core/perturbed_parameters.py",
        TESTS,
        (
            "the perturbation points downhill",
            "step = scale * along[i].astype(scale.dtype)",
            "step = -scale * along[i].astype(scale.dtype)",
        ),
    ),
    *in_file(
        "core/perturbation.py",
        TESTS,
        (
            "every modality is perturbed",
            "m: jnp.where(index == i, self._scales[m], jnp.zeros_like(self._scales[m]))",
            "m: self._scales[m] + 0 * i",
        ),
        (
            "a perturbed gradient that is not finite is used",
            "keep = is_perturbed & all_finite(changed.values())",
            "keep = is_perturbed",
        ),
    ),
    *in_file(
        "core/perturbation.py",
        ("tests/core/test_low_precision.py", "tests/core/test_late_fusion.py"),
        (
            "partitions that stay are added to",
            "result[i] = jnp.where(keep, leaf, leaves[i])",
            "result[i] = leaves[i] + jnp.where(keep, leaf - leaves[i], jnp.zeros_like(leaf))",
        ),
        (
            "the head is corrected on clean steps",
            "any_moved = functools.reduce(jnp.logical_or, [moved for moved, _ in parts])",
            "any_moved = jnp.ones((), bool)",
        ),
        (
            "the head's gradient lacks the encoders that do not run again",
            "and not (correct_other and ours.other_needs_every_encoder(params, partition))",
            "",
        ),
    ),
    *in_file(
        "core/perturbed_parameters.py",
        ("tests/core/test_low_precision.py",),
        (
            "the perturbed point of narrow parameters is rounded",
            "to = jnp.float32 if widen and is_narrow(dtype) else dtype",
            "to = dtype",
        ),
    ),
    *in_file(
        "core/numerics.py",
        ("tests/core/test_masam_arguments.py", "tests/core/test_low_precision.py"),
        (
            "the clean and the perturbed gradient change places",
            "return there.astype(dtype) - here.astype(dtype)",
            "return here.astype(dtype) - there.astype(dtype)",
        ),
        (
            "a difference overflows in float16",
            "dtype = accumulation_dtype((update, there, here))",
            "dtype = update.dtype",
        ),
    ),
    *in_file(
        "core/scores.py",
        TESTS,
        ("γ is the mean of per-tensor cosines", "if per_tensor:", "if True:"),
        (
            "decay uses the average before the step",
            "scores.previous_loss[m] - ma_loss)",
            "scores.previous_loss[m] - scores.ma_loss[m])",
        ),
        (
            "an absent modality's average moves",
            "new[field][m] = jnp.where(present[m], value, getattr(scores, field)[m])",
            "new[field][m] = value",
        ),
        (
            "the first average starts from zero",
            "ma_loss = jnp.where(seen, beta_ * scores.ma_loss[m] + (1 - beta_) * loss, loss)",
            "ma_loss = beta_ * scores.ma_loss[m] + (1 - beta_) * loss",
        ),
        (
            "decay may be negative",
            "jnp.maximum(zero, scores.previous_loss[m] - ma_loss)",
            "scores.previous_loss[m] - ma_loss",
        ),
        (
            "β weighs the new loss",
            "beta_ * scores.ma_loss[m] + (1 - beta_) * loss",
            "(1 - beta_) * scores.ma_loss[m] + beta_ * loss",
        ),
    ),
    *in_file(
        "core/choice.py",
        ("tests/core/test_choice.py", *TESTS),
        (
            "ties go to the last modality",
            "best = jnp.argmax(jnp.where(there, values, -jnp.inf)).astype(jnp.int32)",
            "best = (len(modalities) - 1 - jnp.argmax(jnp.where(there, values, -jnp.inf)[::-1]))"
            ".astype(jnp.int32)",
        ),
        (
            "the last choice never stays",
            "best = jnp.where(stays, last, best)",
            "best = jnp.where(stays, best, best)",
        ),
        (
            "a held-out loss that is infinite is chosen",
            "there = there & jnp.isfinite(values)",
            "there = there & ~jnp.isnan(values)",
        ),
        (
            "an absent modality stays chosen",
            "stays = (last != CLEAN) & there[place] &",
            "stays = (last != CLEAN) &",
        ),
        (
            "the temperature multiplies",
            "weights = jnp.exp(below / tau)",
            "weights = jnp.exp(below * tau)",
        ),
    ),
    *in_file(
        "core/scaling.py",
        TESTS,
        (
            "an absent modality is perturbed",
            "scales[m] = _usable(scale, present[m])",
            "scales[m] = _usable(scale, jnp.ones((), bool))",
        ),
        (
            "the radius grows with the gradient's norm",
            "scale = length * over_norm",
            "scale = length",
        ),
        (
            "a relative radius forgets the parameters",
            "scale, length = scale * of_params, length * of_params",
            "scale = scale + 0 * of_params",
        ),
        (
            "along the total gradient, but over the fusion gradient's norm",
            "over_norm = inverse_norm(partition.leaves(along, m), dtype)",
            "over_norm = over_norm + 0",
        ),
        (
            "γ does not scale the radius",
            "factor = alignments[m].cosine if settings.scale_by_alignment else jnp.ones((), dtype)",
            "factor = jnp.ones((), dtype)",
        ),
        (
            "the better the fit, the smaller the radius",
            "fit = jnp.exp(-jnp.asarray(hyperparameters.fit_exponent, dtype) * loss)",
            "fit = jnp.exp(jnp.asarray(hyperparameters.fit_exponent, dtype) * loss)",
        ),
    ),
    *in_file(
        "core/scaling.py",
        ("tests/methods/test_recommended.py",),
        (
            "the radius grows with a loss below zero",
            "loss = jnp.maximum(loss, jnp.zeros_like(loss))",
            "loss = loss + 0",
        ),
    ),
    *in_file(
        "core/normalization.py",
        ("tests/core/test_normalization.py", "tests/core/test_masam_reference.py"),
        (
            "a filter is a row",
            "axes = tuple(range(param.ndim - 1))",
            "axes = tuple(range(1, param.ndim))",
        ),
        (
            "T acts once within a modality",
            "return once, [t * g for t, g in zip(operators, once, strict=True)]",
            "return once, once",
        ),
    ),
    *in_file(
        "core/signals.py",
        TESTS,
        (
            "the second pass differentiates the total loss",
            "return self.passes.fusion_loss(tree, args, self.weighing, features, modality)",
            "return self.passes.total_loss(tree, args, self.weighing)",
        ),
        ("both points use the same keys", "args = clone_keys(self.args)", "args = self.args"),
        (
            "signals of other functions are the same",
            "self._made_of = made_of(parts)",
            "self._made_of = made_of(parts[1:])",
        ),
        (
            "a number makes a program of its own",
            "return isinstance(leaf, float | complex | jax.Array | np.ndarray | np.generic)",
            "return isinstance(leaf, jax.Array | np.ndarray | np.generic)",
        ),
    ),
    *in_file(
        "core/losses.py",
        TESTS,
        (
            "parts count alike",
            "weight = self.weight if mean_weight is None else mean_weight",
            "weight = self.weight",
        ),
        ("the weight is differentiated", "weight = jax.lax.stop_gradient(", "weight = ("),
    ),
    *in_file(
        "core/gradients.py",
        TESTS,
        (
            "each device weighs by its own samples",
            "return average(vary(weights, axis_name), axis_name)",
            "return weights",
        ),
    ),
    *in_file(
        "core/microbatches.py",
        TESTS,
        (
            "parts are blocks",
            "jnp.moveaxis(leaf.reshape(size // count, count, *leaf.shape[1:]), 1, 0)",
            "leaf.reshape(count, size // count, *leaf.shape[1:])",
        ),
        (
            "every platform unrolls",
            "default=lambda each: _scanned(",
            "default=lambda each: _unrolled(",
        ),
        (
            "float16 parts are added in float16",
            'return jnp.dtype("float32") if is_narrow(dtype) else dtype',
            "return dtype",
        ),
    ),
    *in_file(
        "core/dependence.py",
        TESTS,
        (
            "a rule of differentiation reads nothing",
            "for i in _with_gradient(function, operand, doubtful):",
            "for i in []:",
        ),
        (
            "a slice begins where its operand does",
            "return [_shift(outputs[0], begin[0] * math.prod(shape[1:]))]",
            "return [outputs[0]]",
        ),
        (
            "a loop is looked through once",
            "        carried = further",
            "        return [*tested[:of_condition], *used[:of_body], *live]",
        ),
    ),
    *in_file(
        "core/late_fusion.py",
        TESTS,
        (
            "nothing of other is read",
            "if any(a and b for a, b in zip(read, belongs_to_none, strict=True)):",
            "if all(a and b for a, b in zip(read, belongs_to_none, strict=True)):",
        ),
    ),
    *in_file(
        "core/late_fusion_passes.py",
        TESTS,
        (
            "the perturbed encoder's features are the clean ones",
            "{**features, **fresh}",
            "{**fresh, **features}",
        ),
    ),
    *in_file(
        "core/collectives.py",
        TESTS,
        (
            "devices do not agree",
            "means = jax.lax.pmean(wide, axis_name)",
            "means = wide",
        ),
    ),
    *in_file(
        "core/masam_step.py",
        TESTS,
        ("the schedule stands still", "optax.safe_increment(state.count)", "state.count"),
    ),
    *in_file(
        "core/feature_alignment.py",
        ("tests/core/test_feature_alignment.py",),
        (
            "γ is the product, and no cosine",
            "cosine = cosine_of(*(each.astype(dtype) for each in products))",
            "cosine = products.dot.astype(dtype)",
        ),
    ),
    *in_file(
        "core/decision.py",
        ("tests/core/test_feature_alignment.py",),
        (
            "the norm is that of the part",
            "return of_part._replace(inverse_norm=over_norm)",
            "return of_part",
        ),
    ),
    *in_file(
        "core/perturbation.py",
        ("tests/core/test_feature_alignment.py",),
        (
            "a branch's own radius is not over the norm",
            "scale = self._lengths[m] * inverse_norm(own, scale.dtype)",
            "scale = self._lengths[m]",
        ),
        (
            "where nobody is present, the first is perturbed",
            "scale = jnp.where(index < 0, jnp.zeros_like(scale), scale)",
            "scale = jnp.where(index < -1, jnp.zeros_like(scale), scale)",
        ),
    ),
    *in_file(
        "core/masam.py",
        ("tests/core/test_refresh.py",),
        (
            "a lazy correction counts once",
            'times=perturb_every if reuse == "lazy" else 1',
            "times=1",
        ),
    ),
    *in_file(
        "core/reuse.py",
        ("tests/core/test_refresh.py",),
        (
            "the component along the gradient is reused as well",
            "correction = [c - share * g for c, g in zip(correction, along, strict=True)]",
            "correction = [c for c, g in zip(correction, along, strict=True)]",
        ),
        (
            "the component does not grow with the gradient",
            "length = norm([gradients[i] for i in mine], dtype)",
            "length = jnp.ones((), dtype)",
        ),
    ),
    *in_file(
        "core/schedules.py",
        ("tests/core/test_schedules.py",),
        (
            "a spike of the learning rate between the steps that are asked is missed",
            "jax.vmap(at)(first + ahead)",
            "jax.vmap(at)((first + ahead) // 40 * 40)",
        ),
        (
            "the steps after the first chunk are not asked",
            "for first in range(0, last + 1, _CHUNK)",
            "for first in range(0, 1, _CHUNK)",
        ),
    ),
)
