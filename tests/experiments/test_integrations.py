"""Networks of other projects: labels, equal losses, dropout, missing images, training."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from experiments.integrations.drfuse_like import drfuse_losses
from experiments.integrations.drfuse_network import DrFuseLike
from experiments.integrations.masked_losses import multi_label_loss
from experiments.integrations.medfuse_network import MedFuseLike
from experiments.integrations.patients import (
    CONDITIONS,
    HOURS,
    IMAGE_SIZE,
    VARIABLES,
    make_patients,
)
from experiments.integrations.train import Settings, main, make_step
from masam_jax import masam, masam_metrics, multimodal_value_and_grad
from masam_jax.core.partition import path_name, resolve_partition
from tests.experiments.numpy_layers import convolution
from tests.experiments.small_integrations import INTEGRATIONS, WIDTH, integrated

PATIENTS = make_patients(8, missing=0.4, seed=3)
WITHOUT = PATIENTS._replace(
    image=jnp.zeros_like(PATIENTS.image), has_image=jnp.zeros_like(PATIENTS.has_image)
)
KEY = jax.random.key(5)
ENCODERS = {"ehr": "ehr_encoder", "cxr": "cxr_encoder"}
# Leaves that belong to no modality, and that an encoder reads all the same.
SHARED = {"medfuse": set(), "drfuse": {"shared_projection"}}
# The first convolution of the images, and the batch norm behind it.
BATCH_NORM = {
    "medfuse": ("cxr_encoder/first", "cxr_encoder/norm"),
    "drfuse": ("cxr_encoder/Conv_0", "cxr_encoder/BatchNorm_0"),
}


every_network = pytest.mark.parametrize("name", INTEGRATIONS)


def top_name(path):
    return str(path[0].key)


def top_names(tree):
    return [top_name(path) for path, _ in jax.tree.leaves_with_path(tree)]


def leaves_of(tree, name):
    return [leaf for path, leaf in jax.tree.leaves_with_path(tree) if top_name(path) == name]


def at(tree, name):
    """The one leaf of that name, as an array of NumPy."""
    (leaf,) = (
        leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
        if path_name(path).removesuffix("/value") == name
    )
    return np.asarray(leaf)


def changed(tree, chosen, amount):
    """The tree, ``amount`` added to the leaves whose top name is chosen."""
    return jax.tree.map_with_path(
        lambda path, leaf: leaf + amount if chosen(top_name(path)) else leaf, tree
    )


def largest_difference(left, right):
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return max(float(jnp.abs(a - b).max()) for a, b in pairs)


@functools.cache
def sgd_step(name):
    """The integration without dropout, its optimizer and its step, compiled once."""
    integration = integrated(name, dropout=0.0)._replace(loss_weights={"ehr": 0.7, "cxr": 1.3})
    tx = optax.chain(masam(integration.labels, rho=0.5, alpha=0.5, beta=0.9), optax.sgd(1.0))
    return tx, make_step(integration, tx)


def first_step(name, patients=PATIENTS):
    integration = integrated(name, dropout=0.0)
    tx, step = sgd_step(name)
    params = integration.params
    return step(params, tx.init(params), patients, KEY, integration.statistics)


@every_network
def test_every_leaf_has_the_label_of_its_encoder_or_other(name):
    params = integrated(name).params
    labels = resolve_partition(integrated(name).labels, params).leaf_labels
    modality = {encoder: m for m, encoder in ENCODERS.items()}
    assert list(labels) == [modality.get(top, "other") for top in top_names(params)]
    assert {"ehr", "cxr", "other"} == set(labels)


@every_network
def test_a_layer_that_no_rule_knows_is_refused(name):
    params = dict.fromkeys(top_names(integrated(name).params), 0.0)
    with pytest.raises(ValueError, match=r"no rule covers the parameters \['adapter/kernel'\]"):
        integrated(name).labels(
            {top: {"kernel": leaf} for top, leaf in {**params, "adapter": 0.0}.items()}
        )


@every_network
def test_an_encoder_reads_its_own_and_shared_parameters_alone(name):
    integration = integrated(name)
    encoders = integration.loss.encoders

    @jax.jit
    def encode(params):
        batch = (PATIENTS, KEY, integration.statistics)
        return {m: encoder(params, *batch) for m, encoder in encoders.items()}

    features = encode(integration.params)
    chex.assert_tree_all_finite(features)
    for m, encoder in ENCODERS.items():
        allowed = {encoder} | SHARED[name]
        ruined = changed(integration.params, lambda top, a=allowed: top not in a, jnp.nan)
        chex.assert_trees_all_equal(encode(ruined)[m], features[m])
        # It does read all that it is allowed.
        for top in allowed:
            moved = encode(changed(integration.params, lambda t, top=top: t == top, 1.0))[m]
            assert largest_difference(moved, features[m]) > 1e-3


def medfuse_plain(params, patients, statistics):
    """The losses of the network's own forward pass, and its new statistics."""
    sizes = {"variables": VARIABLES, "image_size": IMAGE_SIZE, "conditions": CONDITIONS}
    fresh = MedFuseLike(**sizes, width=WIDTH, dropout=0.0, rngs=nnx.Rngs(0))
    graph, _, _, rest = nnx.split(fresh, nnx.Param, nnx.BatchStat, ...)
    network = nnx.merge(graph, params, statistics, rest, copy=True)
    logits = network(*patients[:4], train=True)
    everyone = jnp.ones_like(patients.has_image)
    losses = [
        multi_label_loss(head, patients.targets, mask).value()
        for head, mask in zip(logits, (everyone, everyone, patients.has_image), strict=True)
    ]
    return losses[0], {"ehr": losses[1], "cxr": losses[2]}, nnx.state(network, nnx.BatchStat)


def drfuse_plain(params, patients, statistics):
    """The losses of the network's own forward pass, and its new statistics."""
    network = DrFuseLike(conditions=CONDITIONS, width=WIDTH, dropout=0.0)
    variables = {"params": params, "batch_stats": statistics}
    outputs, new = network.apply(variables, *patients[:4], train=True, mutable=["batch_stats"])
    fusion, unimodal = drfuse_losses(outputs, patients)
    return fusion, {m: loss.value() for m, loss in unimodal.items()}, new["batch_stats"]


PLAIN = {"medfuse": medfuse_plain, "drfuse": drfuse_plain}


def as_vector(tree):
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in jax.tree.leaves(tree)])


@every_network
def test_a_step_is_masam_s_equations_on_the_network_s_own_losses(name):
    integration = integrated(name, dropout=0.0)

    @jax.jit
    def own_pass(params):
        def losses(point):
            fusion, unimodal, aux = PLAIN[name](point, PATIENTS, integration.statistics)
            return {"fusion": fusion, **unimodal}, aux

        values, pullback, aux = jax.vjp(losses, params, has_aux=True)
        one_hot = {m: {n: jnp.float32(n == m) for n in values} for m in values}
        return values, {m: pullback(one)[0] for m, one in one_hot.items()}, aux

    values, grads, statistics = own_pass(integration.params)
    cosines = {}
    for m, encoder in ENCODERS.items():
        fusion, own = (as_vector(leaves_of(grads[key], encoder)) for key in ("fusion", m))
        cosines[m] = fusion @ own / np.linalg.norm(fusion) / np.linalg.norm(own)
    # Nothing has decayed at the first step: the score is the cosine alone.
    dominant = max(cosines, key=cosines.get)
    encoder = ENCODERS[dominant]
    norm = np.linalg.norm(as_vector(leaves_of(grads["fusion"], encoder)))
    scale = jnp.float32(0.5 * cosines[dominant] / norm)
    moved = jax.tree.map_with_path(
        lambda path, leaf, grad: leaf + scale * grad if top_name(path) == encoder else leaf,
        integration.params,
        grads["fusion"],
    )
    perturbed = own_pass(moved)[1]["fusion"]
    wanted = jax.tree.map_with_path(
        lambda path, leaf, clean, there, ehr, cxr: (
            leaf - (there if top_name(path) == encoder else clean) - 0.7 * ehr - 1.3 * cxr
        ),
        *(integration.params, grads["fusion"], perturbed, grads["ehr"], grads["cxr"]),
    )

    params, state, losses = first_step(name)
    chex.assert_trees_all_close(params, wanted, rtol=1e-5, atol=1e-5)
    assert masam_metrics(state)["dominant"] == dominant
    chex.assert_trees_all_close(
        {"fusion": losses.fusion, **losses.unimodal}, values, rtol=1e-5, atol=1e-6
    )
    # Running statistics move once, and from the clean pass.
    chex.assert_trees_all_close(losses.aux, statistics, rtol=1e-5, atol=1e-6)
    # The perturbation does something, so that the comparison says something.
    pair = [leaves_of(tree, encoder) for tree in (perturbed, grads["fusion"])]
    assert largest_difference(*pair) > 1e-3


@every_network
def test_running_statistics_are_of_the_images_that_are_there(name):
    integration = integrated(name, dropout=0.0)
    first, norm = BATCH_NORM[name]
    layer = {leaf: at(integration.params, f"{first}/{leaf}") for leaf in ("kernel", "bias")}
    convolved = convolution(layer, PATIENTS.image[PATIENTS.has_image])
    statistics = first_step(name)[2].aux
    for leaf, before, now in (
        ("mean", 0.0, convolved.mean(axis=(0, 1, 2))),
        ("var", 1.0, convolved.var(axis=(0, 1, 2))),
    ):
        found = at(statistics, f"{norm}/{leaf}")
        np.testing.assert_allclose(found, 0.9 * before + 0.1 * now, rtol=1e-5, atol=1e-6)


@every_network
def test_the_second_pass_drops_the_same_units(name):
    integration = integrated(name)

    @jax.jit
    def both_points(key):
        value_and_grad = multimodal_value_and_grad(integration.loss, has_aux=True)
        batch = (PATIENTS, key, integration.statistics)
        signals = value_and_grad(integration.params, *batch)[2]
        return signals["fusion_grads"], signals["fusion_grad_fn"](integration.params)

    first, second = both_points(KEY)
    chex.assert_trees_all_close(second, first, rtol=1e-4, atol=1e-6)
    others, _ = both_points(jax.random.key(6))
    for encoder in ENCODERS.values():
        assert largest_difference(leaves_of(others, encoder), leaves_of(first, encoder)) > 1e-3


@every_network
def test_what_stands_in_for_missing_data_does_not_matter(name):
    keys = jax.random.split(KEY)
    noise = PATIENTS._replace(
        ehr=jax.random.normal(keys[0], PATIENTS.ehr.shape),
        image=jax.random.normal(keys[1], PATIENTS.image.shape),
    )
    there = {
        "ehr": (jnp.arange(HOURS, dtype=jnp.int32)[None] < PATIENTS.length[:, None])[..., None],
        "image": PATIENTS.has_image[:, None, None, None],
    }
    found = first_step(name)
    for field, mask in there.items():
        data, other = getattr(PATIENTS, field), getattr(noise, field)
        outside = PATIENTS._replace(**{field: jnp.where(mask, data, other)})
        chex.assert_trees_all_close(first_step(name, outside), found, rtol=1e-4, atol=1e-6)
        inside = PATIENTS._replace(**{field: jnp.where(mask, other, data)})
        assert largest_difference(first_step(name, inside)[0], found[0]) > 1e-3


@every_network
def test_a_batch_without_images_leaves_the_image_encoder_as_it_was(name):
    params, state, losses = first_step(name)
    _, step = sgd_step(name)
    after, later, without = step(params, state, WITHOUT, KEY, losses.aux)
    chex.assert_tree_all_finite(after)
    chex.assert_trees_all_equal(leaves_of(after, "cxr_encoder"), leaves_of(params, "cxr_encoder"))
    chex.assert_trees_all_equal(without.aux, losses.aux)
    metrics, earlier = masam_metrics(later), masam_metrics(state)
    assert metrics["dominant"] == "ehr"
    assert metrics["ma_loss/cxr"] == earlier["ma_loss/cxr"] > 0
    assert metrics["ma_loss/ehr"] != earlier["ma_loss/ehr"]
    initial = integrated(name, dropout=0.0)
    encoders = [leaves_of(tree, "cxr_encoder") for tree in (params, initial.params)]
    assert largest_difference(*encoders) > 1e-3
    assert largest_difference(losses.aux, initial.statistics) > 1e-3


def test_the_step_says_whether_the_batch_has_an_image():
    integration = integrated("medfuse", dropout=0.0)

    def keep_present(updates, state, params=None, *, present, **signals):
        return updates, present["cxr"]

    spy = optax.GradientTransformationExtraArgs(lambda params: jnp.array(True), keep_present)
    step = make_step(integration, spy)
    for patients, present in ((PATIENTS, True), (WITHOUT, False)):
        batch = (patients, KEY, integration.statistics)
        assert step(integration.params, spy.init(None), *batch)[1] == present


@every_network
def test_the_command_trains_and_says_what_it_did(name, capsys):
    settings = Settings(steps=60, batch_size=16, patients=32, learning_rate=2e-2)
    with jax.numpy_dtype_promotion("standard"):
        trained = main(lambda seed: integrated(name), settings)
    assert np.mean(trained.losses[-5:]) < 0.9 * np.mean(trained.losses[:5])
    assert set(trained.dominant) <= set(ENCODERS)
    chex.assert_tree_all_finite((trained.params, trained.statistics))
    printed = capsys.readouterr().out
    assert f"step 60: loss {trained.losses[-1]:.3f}" in printed
    assert f"dominant: {trained.dominant[-1]}" in printed
    assert "accuracy on other patients without images: " in printed
