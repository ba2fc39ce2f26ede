"""What the integrations are made of: losses from their equations, made-up patients, settings."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.integrations.drfuse_like import drfuse_losses
from experiments.integrations.drfuse_network import DrFuseLike, Representation
from experiments.integrations.drfuse_terms import jensen_shannon, overlap
from experiments.integrations.masked_losses import multi_label_loss
from experiments.integrations.patients import CONDITIONS, HOURS, IMAGE_SIZE, make_patients
from experiments.integrations.train import Settings
from tests.experiments.numpy_layers import affine, convolution, lstm, sigmoid
from tests.experiments.small_integrations import WIDTH, integrated

MODALITIES = ("ehr", "cxr")


def cross_entropy(probability, targets):
    return -np.mean(targets * np.log(probability) + (1 - targets) * np.log(1 - probability))


def test_losses_of_the_disentangled_network_from_their_equations():
    draw = np.random.default_rng(0).normal
    mask, targets = np.array([1, 0, 1, 1, 0], bool), np.array(draw(size=(5, CONDITIONS)) > 0)
    parts = {f"{m} {part}": draw(size=(5, WIDTH)) for m in MODALITIES for part in ("shared", "own")}
    params = integrated("drfuse").params
    rows, terms = {"fusion": [], "shared": [], "cxr": [], "ehr": []}, {"jsd": [], "e": [], "c": []}
    for i, paired in enumerate(mask):
        h_e, h_c, d_e, d_c = (parts[f"{m} {p}"][i] for p in ("shared", "own") for m in MODALITIES)
        p, q = sigmoid(h_e), sigmoid(h_c)
        middle = (p + q) / 2
        pooled = np.log(middle / (1 - middle)) if paired else h_e
        tokens = [d_e, pooled, d_c][: 3 if paired else 2]
        query, value, *keys = np.split(
            affine(params["attention"], np.stack(tokens)), 2 + CONDITIONS, axis=-1
        )
        logits = []
        for c, key in enumerate(keys):
            weight = np.exp(key @ query.mean(axis=0) / np.sqrt(WIDTH))
            logits.append(affine(params["classifier"], weight @ value / weight.sum())[c])
        rows["fusion"].append(cross_entropy(sigmoid(np.array(logits)), targets[i]))
        for head, x in (("shared", pooled), ("ehr", d_e), ("cxr", d_c)):
            logit = affine(params[f"{head}_head"], x)
            rows[head].append(cross_entropy(sigmoid(logit), targets[i]))
        divergences = [
            a * np.log(a / m) + b * np.log(b / m)
            for a, b, m in ((p, q, middle), (1 - p, 1 - q, 1 - middle))
        ]
        terms["jsd"].append(np.mean(sum(divergences)) / 2)
        for term, h, d in (("e", h_e, d_e), ("c", h_c, d_c)):
            terms[term].append(abs(h @ d) / np.linalg.norm(h) / np.linalg.norm(d))
    fusion = np.mean(rows["fusion"]) + np.mean(rows["shared"]) + 0.1 * np.mean(terms["e"])
    fusion += np.mean(np.array(terms["jsd"])[mask]) + 0.1 * np.mean(np.array(terms["c"])[mask])

    narrow = {k: jnp.asarray(v, jnp.float32) for k, v in parts.items()}
    ehr, cxr = (Representation(narrow[f"{m} shared"], narrow[f"{m} own"]) for m in MODALITIES)
    network = DrFuseLike(conditions=CONDITIONS, width=WIDTH, dropout=0.0)
    fuse = jax.jit(functools.partial(network.apply, method="fuse"))
    outputs = fuse({"params": params}, ehr, cxr, jnp.asarray(mask))
    patients = make_patients(5)._replace(
        has_image=jnp.asarray(mask), targets=jnp.asarray(targets, jnp.float32)
    )
    got, unimodal = jax.jit(drfuse_losses)(outputs, patients)
    np.testing.assert_allclose(got, fusion, rtol=1e-5)
    assert {m: int(loss.weight) for m, loss in unimodal.items()} == {"ehr": 5, "cxr": 3}
    of_pairs = {"ehr": rows["ehr"], "cxr": np.array(rows["cxr"])[mask]}
    for m, losses in of_pairs.items():
        np.testing.assert_allclose(unimodal[m].value(), np.mean(losses), rtol=1e-5)


def test_logits_of_the_lstm_fusion_from_their_equations():
    integration = integrated("medfuse")
    params = nnx.to_pure_dict(integration.params)
    patients = make_patients(5, missing=0.4, seed=1)
    mask = np.asarray(patients.has_image)
    assert mask.any()
    assert not mask.all()
    encoder, scale = params["cxr_encoder"], 1 / np.sqrt(1 + 1e-5)
    # Batch norm with its initial statistics does next to nothing.
    image = np.maximum(scale * convolution(encoder["first"], patients.image), 0)
    image = np.maximum(convolution(encoder["second"], image), 0).reshape(len(mask), -1)
    wanted = []
    for i, paired in enumerate(mask):
        ehr = lstm(
            params["ehr_encoder"]["lstm"]["cell"], np.asarray(patients.ehr[i, : patients.length[i]])
        )
        sequence = [ehr, affine(params["projection"], image[i])][: 2 if paired else 1]
        wanted.append(affine(params["classifier"], lstm(params["fusion_lstm"]["cell"], sequence)))
    found = jax.jit(integration.predict)(integration.params, integration.statistics, patients)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_terms_have_gradients_where_nothing_is_there():
    zero, mask = jnp.zeros((2, 3)), jnp.zeros(2, bool)

    def loss(logits, targets, mask):
        return multi_label_loss(logits, targets, mask).value()

    for term in (jensen_shannon, overlap, loss):
        value_and_grad = jax.jit(jax.value_and_grad(term))
        for present in (mask, ~mask):
            chex.assert_tree_all_finite(value_and_grad(zero, zero, present))
        assert float(value_and_grad(zero + 1, zero, mask)[0]) == 0.0


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        Settings(steps=0)
    with pytest.raises(ValueError, match=r"batch_size must be 1 to patients \(4\), got 5"):
        Settings(batch_size=5, patients=4)
    for name, value, accepted in (
        ("missing", 1.5, r"in \[0, 1\]"),
        ("learning_rate", 0.0, "positive and finite"),
        ("learning_rate", float("nan"), "positive and finite"),
        ("rho", -1.0, ">= 0"),
        ("alpha", 2.0, r"in \[0, 1\]"),
        ("beta", -0.1, r"in \[0, 1\]"),
        ("seed", -1, r"0 to 2\*\*31 - 1"),
    ):
        with pytest.raises(ValueError, match=rf"{name} must be .*{accepted}, got {value}"):
            Settings(**{name: value})
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        make_patients(0)
    with pytest.raises(ValueError, match=r"missing must be in \[0, 1\], got 2"):
        make_patients(1, missing=2)


def test_patients_are_what_they_say():
    patients = make_patients(400, missing=0.25, seed=1)
    chex.assert_trees_all_equal(patients, make_patients(400, missing=0.25, seed=1))
    assert 0.65 < float(patients.has_image.mean()) < 0.85
    assert not patients.image[~patients.has_image].any()
    over = np.arange(HOURS) >= np.asarray(patients.length)[:, None]
    assert over.any()
    assert not np.asarray(patients.ehr)[over].any()
    # Each condition shows in its variable, and in its quarter of the image.
    last = np.take_along_axis(
        np.asarray(patients.ehr), np.asarray(patients.length)[:, None, None] - 1, 1
    )
    signs = 2 * np.asarray(patients.targets) - 1
    assert np.all(np.mean(last[:, 0, :CONDITIONS] * signs, axis=0) > 0.5)
    half = IMAGE_SIZE // 2
    shape = (-1, 2, half, 2, half)
    quarters = np.asarray(patients.image).reshape(shape).mean(axis=(2, 4)).reshape(-1, CONDITIONS)
    assert np.all(np.mean(quarters * signs, axis=0) > 0.07)
