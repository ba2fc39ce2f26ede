"""Breaks the methods that train modality by modality."""

from tests.mutants.mutant import in_file

MLA = ("tests/methods/test_mla_prediction.py", "tests/methods/test_mla.py")
AUG = ("tests/methods/test_aug.py",)

MUTANTS = (
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
            "jnp.sum(jnp.stack(list(scalars.values())))",
            "jnp.mean(jnp.stack(list(scalars.values())))",
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
            "plain - mean(previous) - ",
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
