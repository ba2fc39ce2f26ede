"""Each modality alone, and the other baselines that only choose what is summed."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import multimodal_value_and_grad
from masam_jax.methods import Context, parse_method
from masam_jax.methods.unimodal import UnimodalObjective
from masam_jax.models import mlp_network
from tests.core.reference_network import draw_batches, initialise, nested
from tests.methods.g_blend_reference import descend
from tests.methods.reference_objective import ReferenceNetwork, value_and_grad

NETWORK = mlp_network({"audio": 3, "video": 4}, num_classes=3, width=5, depth=1)
PARAMS = NETWORK.init(jax.random.key(0))
INPUTS = {
    m: jax.random.normal(jax.random.key(i), (6, 3 + i)) for i, m in enumerate(("audio", "video"))
}
LABELS = jnp.array([0, 1, 2, 2, 1, 0])


DIMENSIONS = {"audio": 3, "text": 2, "video": 4}
# Weights of the fusion loss and of every unimodal one.
WEIGHTS = {
    "unimodal": (0.0, 1.0),
    "fusion_only": (1.0, 0.0),
    "late_fusion": (1.0, 1.0),
    "late_fusion:weight=0.3": (1.0, 0.3),
    "gated:weight=0.3": (1.0, 0.3),
}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("spec", WEIGHTS)
def test_trajectory_is_gradient_descent_on_the_weighted_losses(x64, spec, count):
    """Against float64 NumPy with gradients derived by hand."""
    dimensions = dict(list(DIMENSIONS.items())[:count])
    batches = draw_batches(1, dimensions, steps=6)
    expected = initialise(0, dimensions)
    params = jax.tree.map(jnp.asarray, nested(expected))
    network, method = ReferenceNetwork(*dimensions), parse_method(spec)
    gradient = jax.jit(value_and_grad(method.objective(Context()), network, method.loss_weight))
    of_fusion, of_unimodal = WEIGHTS[spec]
    weights = {"fusion": of_fusion, **dict.fromkeys(dimensions, of_unimodal)}
    for batch in batches:
        _, grads, _ = gradient(params, batch.inputs, batch.labels, ())
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        expected = descend(expected, batch, weights, 0.1)
        chex.assert_trees_all_close(params, nested(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["concat", "sum", "film", "gated"])
def test_a_fusion_head_is_asked_for_by_its_name(name):
    assert parse_method(name).fusion == name


def _features(params):
    return {m: NETWORK.encode(params, m, INPUTS[m]) for m in NETWORK.modalities}


def test_gradients_are_those_of_each_modality_alone():
    """No gradient crosses over, and the fusion head has none."""

    def loss_fn(params):
        outcome = UnimodalObjective().losses(NETWORK, params, _features(params), LABELS, ())
        return outcome.fusion, outcome.unimodal

    losses, grads, _ = multimodal_value_and_grad(loss_fn)(PARAMS)
    assert losses.fusion == 0
    for m in NETWORK.modalities:

        def alone(encoder, head, m=m):
            features = {m: NETWORK.encode({"encoders": {m: encoder}}, m, INPUTS[m])}
            logits = features[m] @ head["dense"]["kernel"] + head["dense"]["bias"][None]
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(6), LABELS])

        of_encoder, of_head = jax.grad(alone, argnums=(0, 1))(
            PARAMS["encoders"][m], PARAMS["heads"][m]
        )
        for ours, theirs in (
            (grads["encoders"][m], of_encoder),
            (grads["heads"][m], of_head),
        ):
            chex.assert_trees_all_close(ours, theirs, atol=1e-06)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads["fusion"]))


def test_prediction_is_the_mean_of_log_probabilities_or_one_modality():
    features = _features(PARAMS)
    unimodal = NETWORK.unimodal(PARAMS, features)
    logits, each = UnimodalObjective().predict(NETWORK, PARAMS, features, ())
    probabilities = {m: np.exp(z) / np.exp(z).sum(-1, keepdims=True) for m, z in unimodal.items()}
    mean = (np.log(probabilities["audio"]) + np.log(probabilities["video"])) / 2
    np.testing.assert_allclose(logits, mean, rtol=1e-4, atol=1e-6)
    assert np.array_equal(each["audio"], unimodal["audio"])
    logits, _ = UnimodalObjective("video").predict(NETWORK, PARAMS, features, ())
    assert np.array_equal(logits, unimodal["video"])


def test_of_labels_the_prediction_is_the_geometric_mean_of_both_probabilities():
    network = ReferenceNetwork("audio", "video")
    network.multi_label = True
    generator = np.random.default_rng(0)
    features = {m: generator.normal(size=(5, 4)).astype(np.float32) for m in network.modalities}
    heads = {
        m: {"w": generator.normal(size=(4, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}
        for m in features
    }
    logits, _ = UnimodalObjective().predict(network, {"heads": heads}, features, ())
    true = [1 / (1 + np.exp(-features[m].astype(float) @ heads[m]["w"])) for m in features]
    odds = np.sqrt(true[0] * true[1]) / np.sqrt((1 - true[0]) * (1 - true[1]))
    np.testing.assert_allclose(logits, np.log(odds), rtol=1e-4, atol=1e-6)


def test_late_fusion_that_predicts_by_its_own_heads_trains_as_ever():
    """The same losses and gradients; the prediction is what ``unimodal`` makes of these heads."""
    plain = parse_method("late_fusion:weight=0.3")
    ours = parse_method("late_fusion:weight=0.3,predict=mean")
    objective, features = ours.objective(Context()), _features(PARAMS)

    def gradients(method):
        def loss_fn(params):
            outcome = method.objective(Context()).losses(
                NETWORK, params, _features(params), LABELS, ()
            )
            return outcome.fusion, outcome.unimodal

        return multimodal_value_and_grad(loss_fn, loss_weights=method.loss_weight)(PARAMS)[:2]

    chex.assert_trees_all_equal(gradients(plain), gradients(ours))
    logits, each = objective.predict(NETWORK, PARAMS, features, ())
    expected, own = UnimodalObjective().predict(NETWORK, PARAMS, features, ())
    chex.assert_trees_all_equal((logits, each), (expected, own))
    assert not np.allclose(logits, NETWORK.fuse(PARAMS, features))
    outcome = objective.losses(NETWORK, PARAMS, features, LABELS, ())
    chex.assert_trees_all_equal(outcome.logits, logits)


def test_who_predicts_by_own_heads_has_another_program_and_another_title():
    ours, plain = parse_method("late_fusion:predict=mean"), parse_method("late_fusion")
    assert ours.title == "late fusion by the mean of its heads"
    assert (
        parse_method("gated:weight=2,predict=mean").title
        == "gated fusion λ=2 by the mean of its heads"
    )
    assert plain.objective(Context()).predictor is None
    assert ours.objective(Context()).predictor == ours.objective(Context()).predictor
    assert ours.objective(Context()).predictor != UnimodalObjective().predictor
    with pytest.raises(ValueError, match=r"unknown predict 'best' \(known: fusion, mean\)"):
        parse_method("late_fusion:predict=best")


def test_an_unknown_modality_is_refused():
    with pytest.raises(ValueError, match=r"predict='smell' is neither 'mean' nor one of \['audio"):
        UnimodalObjective("smell").init_state(NETWORK, PARAMS)


def test_predictors_differ_by_what_they_predict():
    assert UnimodalObjective().predictor != UnimodalObjective("video").predictor
    assert parse_method("unimodal:predict=video").title == "video alone"
