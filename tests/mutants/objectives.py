"""Breaks the methods that choose what is minimised."""

from tests.mutants.mutant import in_file

WEIGHTED = ("tests/methods/test_unimodal.py",)
PMR = ("tests/methods/test_pmr.py", "tests/methods/test_pmr_prototypes.py")
G_BLEND = ("tests/methods/test_g_blend.py", "tests/methods/test_g_blend_training.py")

MUTANTS = (
    *in_file(
        "methods/objective.py",
        (*WEIGHTED, "tests/training/test_missing_modalities.py"),
        (
            "samples that lack a modality count in its loss",
            "return {m: masked_loss(loss, z, labels, present[m], weights) for m, z in",
            "return {m: mean_loss(loss, z, labels, weights=weights) for m, z in",
        ),
        (
            "the fusion loss has the unimodal ones in it",
            "fusion=mean_loss(network.sample_loss, logits, labels, weights=weights)",
            "fusion=mean_loss(network.sample_loss, logits + sum(unimodal.values()), labels)",
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
        "methods/mean_prediction.py",
        WEIGHTED,
        (
            "the prediction is a sum",
            "sum(each[1:], each[0]) / len(each)",
            "sum(each[1:], each[0])",
        ),
        (
            "logits are averaged, not log-probabilities",
            "(lambda z: z) if as_they_are else jax.nn.log_softmax",
            "lambda z: z",
        ),
        (
            "log-probabilities are averaged of labels too",
            "(lambda z: z) if as_they_are else jax.nn.log_softmax",
            "jax.nn.log_softmax",
        ),
        (
            "the fusion head's logits are reported of training",
            "outcome._replace(logits=mean_of_heads(network, network.unimodal(params, features)))",
            "outcome",
        ),
    ),
    *in_file(
        "methods/unimodal.py",
        WEIGHTED,
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
)
