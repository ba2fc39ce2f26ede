"""Breaks the methods that choose their losses, or how they train and predict."""

from tests.mutants.mutant import in_file

WEIGHTED = ("tests/methods/test_unimodal.py",)
PMR = ("tests/methods/test_pmr.py", "tests/methods/test_pmr_prototypes.py")
G_BLEND = ("tests/methods/test_g_blend.py", "tests/methods/test_g_blend_training.py")
MLA = ("tests/methods/test_mla_prediction.py", "tests/methods/test_mla.py")
AUG = ("tests/methods/test_aug.py",)

MUTANTS = (
    *in_file(
        "methods/objective.py",
        (*WEIGHTED, "tests/training/test_missing_modalities.py"),
        (
            "samples that lack a modality count in its loss",
            "None if present is None else present[m]",
            "None",
        ),
        (
            "the fusion loss has the unimodal ones in it",
            "fusion=cross_entropy(logits, labels)",
            "fusion=cross_entropy(logits + sum(unimodal.values()), labels)",
        ),
    ),
    *in_file(
        "methods/late_fusion.py",
        WEIGHTED,
        (
            "λ is ignored",
            'title=titled("late fusion"),\n        loss_weight=lambda options: options.weight',
            'title=titled("late fusion"),\n        loss_weight=lambda _: 1.0',
        ),
        (
            "λ is ignored by the fusion heads",
            'title=titled(f"{name} fusion"),\n        loss_weight=lambda options: options.weight',
            'title=titled(f"{name} fusion"),\n        loss_weight=lambda _: 1.0',
        ),
        ("every fusion head is concat", "fusion=lambda options: name", 'fusion=lambda _: "concat"'),
    ),
    *in_file(
        "methods/fusion_only.py",
        WEIGHTED,
        ("unimodal losses count", "loss_weight=lambda options: 0.0", "loss_weight=lambda _: 1.0"),
    ),
    *in_file(
        "methods/unimodal.py",
        WEIGHTED,
        (
            "the prediction is a sum",
            "sum(each[1:], each[0]) / len(each)",
            "sum(each[1:], each[0])",
        ),
        (
            "logits are averaged, not log-probabilities",
            "(lambda z: z) if network.multi_label else jax.nn.log_softmax",
            "lambda z: z",
        ),
        (
            "log-probabilities are averaged of labels too",
            "(lambda z: z) if network.multi_label else jax.nn.log_softmax",
            "jax.nn.log_softmax",
        ),
        (
            "the first modality counts twice",
            "Outcome(nothing, losses,",
            "Outcome(next(iter(losses.values())), losses,",
        ),
    ),
    *in_file(
        "methods/pmr.py",
        PMR,
        ("far prototypes are likely", "jnp.where(known, -distances", "jnp.where(known, distances"),
        (
            "distances are squared",
            "jnp.sqrt(jnp.where(apart, squares, 1))",
            "jnp.where(apart, squares, 1)",
        ),
        (
            "β and γ change places",
            "self._excess(mean, own), self._excess(own, mean)",
            "self._excess(own, mean), self._excess(mean, own)",
        ),
        (
            "β and γ have no upper limit",
            "jnp.clip(ratio - 1, 0, 1)",
            "jnp.maximum(ratio - 1, 0)",
        ),
        (
            "the others' sum takes the place of their mean",
            "mean = jnp.mean(jnp.stack(others))",
            "mean = jnp.sum(jnp.stack(others))",
        ),
        (
            "the entropy is minimised",
            "cross_entropy - entropy_weight",
            "cross_entropy + entropy_weight",
        ),
        (
            "β and γ are differentiated",
            "jax.lax.stop_gradient(self._imbalance(m, scores))",
            "self._imbalance(m, scores)",
        ),
        (
            "the entropy counts an epoch too long",
            "epoch < self.regularized_epochs",
            "epoch <= self.regularized_epochs",
        ),
        (
            "the new mean has the momentum",
            "self.momentum * prototype + (1 - self.momentum) * mean",
            "(1 - self.momentum) * prototype + self.momentum * mean",
        ),
        (
            "a first prototype is drawn to zero",
            "jnp.where(state.known[:, None], blend, mean)",
            "blend",
        ),
        (
            "features of earlier epochs count",
            "{m: jnp.where(ends, 0, total) for m, total in sums.items()}",
            "sums",
        ),
        (
            "the cross-entropy is over all samples, prototype or not",
            "-_sum_where(usable, own_class[m]) / usable_count",
            "-_sum_where(usable, own_class[m]) / len(labels)",
        ),
    ),
    *in_file(
        "methods/g_blend.py",
        G_BLEND,
        (
            "overfitting counts once",
            "jnp.maximum(jnp.abs(overfitting), smallest_overfitting) ** 2",
            "jnp.maximum(jnp.abs(overfitting), smallest_overfitting)",
        ),
        (
            "the gap before training counts as overfitting",
            "(after.held_out[k] - after.fit[k]) - gap_before",
            "after.held_out[k] - after.fit[k]",
        ),
        ("a weight may be negative", "jnp.abs(gain)", "gain"),
        (
            "the gain is that of the samples trained on",
            "gain = before.held_out[k] - after.held_out[k]",
            "gain = before.fit[k] - after.fit[k]",
        ),
        (
            "a loss that does not overfit takes all",
            "jnp.maximum(jnp.abs(overfitting), smallest_overfitting)",
            "jnp.abs(overfitting)",
        ),
        ("the weights do not add up to 1", "share / divisor", "share"),
        (
            "the option O_min does not reach the schedule",
            "smallest_overfitting=options.smallest_overfitting",
            "smallest_overfitting=1e-3",
        ),
        (
            "the schedule's O_min does not reach the weights",
            "smallest_overfitting=self.smallest_overfitting",
            "smallest_overfitting=1e-3",
        ),
        (
            "weights are not those of the losses",
            "state.weights[k].astype(loss.dtype) * loss",
            "loss",
        ),
        ("a trial trains on all losses", "float(k in trained)", "1.0"),
        (
            "held-out samples are those trained on",
            'probe.losses(params, "held_out")',
            'probe.losses(params, "fit")',
        ),
        (
            "a super-epoch is one epoch",
            "return self.super_epoch * steps_per_epoch",
            "return steps_per_epoch",
        ),
        (
            "a trial is one step",
            "GBlendObjective(max(1, round(options.trial * super_epoch)))",
            "GBlendObjective(1)",
        ),
    ),
    *in_file(
        "methods/mla.py",
        MLA,
        ("the uncertain count", "jax.nn.log_softmax(-entropy", "jax.nn.log_softmax(entropy"),
        (
            "weights do not add up to 1",
            "jax.nn.log_softmax(-entropy, axis=0) + log_p",
            "-entropy + log_p",
        ),
        (
            "all modalities count the same",
            "jax.nn.log_softmax(-entropy, axis=0) + log_p",
            "jax.nn.log_softmax(0 * entropy, axis=0) + log_p",
        ),
        (
            "losses of several modalities are averaged",
            "jnp.sum(jnp.stack(list(unimodal.values())))",
            "jnp.mean(jnp.stack(list(unimodal.values())))",
        ),
        (
            "the head is drawn by its inputs alone",
            "jax.nn.initializers.glorot_normal()",
            "jax.nn.initializers.he_normal()",
        ),
        (
            "the head's gradient is not projected",
            "leaves[position] = project(state.root, leaves[position])",
            "leaves[position] = leaves[position]",
        ),
        (
            "the modality in turn is taken in before it is projected",
            "project(state.root, leaves[position])",
            "project(absorb(state.root, features[0], jnp.asarray(alpha, state.root.dtype)),"
            " leaves[position])",
        ),
        ("the damping stays", "** (1 + batch / steps_per_epoch)", "** (1 + 0 * batch)"),
        ("the damping starts from 1", "** (1 + batch / ", "** (batch / "),
        ("every phase is a batch", "ends = turn[-1] == modalities[-1]", "ends = True"),
        (
            "absent modalities are projected away",
            "jnp.all(jnp.isfinite(feature)) & jnp.asarray(present.get(m, True), bool)",
            "jnp.all(jnp.isfinite(feature))",
        ),
    ),
    *in_file(
        "methods/mla_projection.py",
        MLA,
        (
            "the damping is 1",
            "gain = 1 / (damping + jnp.sum(along * along))",
            "gain = 1 / (1 + jnp.sum(along * along))",
        ),
        (
            "the root shrinks as P does",
            "share = gain / (1 + jnp.sqrt(damping * gain))",
            "share = gain",
        ),
        (
            "the gradient meets the root, not P",
            "jnp.tensordot(root, inner, axes=(1, 0), precision=_PRECISION)",
            "inner",
        ),
    ),
    *in_file(
        "methods/aug.py",
        AUG,
        (
            "what earlier layers explain counts more",
            "(1 - residual * explained)",
            "(1 + residual * explained)",
        ),
        (
            "earlier layers are not trained by themselves",
            "plain - jnp.mean(previous) - ",
            "plain - ",
        ),
        (
            "the residual is differentiated",
            "jax.lax.stop_gradient(jnp.exp(previous))",
            "jnp.exp(previous)",
        ),
        (
            "the strongest grows",
            "jnp.arange(len(names)) == weakest",
            "jnp.arange(len(names)) == jnp.argmax(sums)",
        ),
        ("the band is absolute", "> self.band * sums[second]", "> self.band"),
        (
            "the band is relative to the first modality",
            "self.band * sums[second]",
            "self.band * sums[first]",
        ),
        (
            "a layer is given at the last step",
            "due &= step < self.steps",
            "due &= step <= self.steps",
        ),
        ("the confidence is never reset", "sums = jnp.where(ends, 0, sums)", "sums = sums"),
        (
            "the confidence is a log-likelihood",
            "jnp.sum(jnp.exp(_log_likelihood(logits.total, labels)))",
            "jnp.sum(_log_likelihood(logits.total, labels))",
        ),
        (
            "the weights of the prediction change places",
            "self.merge * first + (1 - self.merge) * second",
            "(1 - self.merge) * first + self.merge * second",
        ),
    ),
    *in_file(
        "methods/aug_classifier.py",
        AUG,
        ("layers have no rectifier", "jax.nn.relu(hidden) @", "hidden @"),
        (
            "what was there before has the last layer in it",
            "(place < given - 1, place == given - 1)",
            "(place < given, place == given - 1)",
        ),
        ("layers not given yet count", "place < given - 1,", "place != given - 1,"),
        (
            "kernels are drawn by their inputs alone",
            "math.sqrt(2 / (draw.shape[-2] + draw.shape[-1]))",
            "math.sqrt(1 / draw.shape[-2])",
        ),
    ),
)
