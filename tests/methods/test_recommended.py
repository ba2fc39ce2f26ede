"""The setting to start from: `masam` by another name, in Python and on the command line."""

import jax
import jax.numpy as jnp
import optax
import pytest

import masam_jax
from masam_jax import masam, multimodal_value_and_grad
from masam_jax.methods import Context, parse_method
from masam_jax.methods.masam import MasamOptions
from masam_jax.methods.recommended import RECOMMENDED, RecommendedOptions
from tests.core.networks import labels_of, late_fusion
from tests.core.reference_network import draw_batches, initialise, nested

NAMES = ("audio", "video")
DIMENSIONS = {"audio": 2, "video": 3}


def _updates(*transformations):
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    (batch,) = draw_batches(5, DIMENSIONS, steps=1)
    narrow = {"f": jnp.float32, "i": jnp.int32}
    batch = jax.tree.map(lambda x: jnp.asarray(x, narrow[x.dtype.kind]), batch)
    loss_fn = late_fusion(NAMES)
    _, grads, signals = multimodal_value_and_grad(loss_fn)(params, batch.inputs, batch.labels)
    return [tx.update(grads, tx.init(params), params, **signals)[0] for tx in transformations]


def _same(first, second):
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


def test_one_step_is_that_of_masam_with_these_options():
    ours, theirs, published, changed, same = _updates(
        masam_jax.recommended(labels_of),
        masam(labels_of, **RECOMMENDED),
        masam(labels_of),
        masam_jax.recommended(labels_of, rho=0.2, select="video"),
        masam(labels_of, **{**RECOMMENDED, "rho": 0.2, "select": "video"}),
    )
    assert _same(ours, theirs)
    assert not _same(ours, published)
    assert _same(changed, same)


def test_a_loss_below_zero_moves_no_further_than_rho():
    params = {"a": jnp.ones(3), "head": jnp.ones(3)}

    def loss_fn(params):
        value = jnp.sum(params["a"] * params["head"])
        return jnp.square(value), {"a": jnp.square(value) - 100}

    _, grads, signals = multimodal_value_and_grad(loss_fn)(params)
    labels = {"a": "a", "head": "other"}
    fitted, constant = (
        tx.update(grads, tx.init(params), params, **signals)[0]
        for tx in (masam_jax.recommended(labels, fit_exponent=k) for k in (2.0, 0.0))
    )
    assert _same(fitted, constant)
    assert not _same(fitted, grads)


def test_hyperparameters_in_the_state():
    make = optax.inject_hyperparams(masam_jax.recommended, static_args=("labels",))
    tx = make(labels_of, fit_exponent=1.0)
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    held = tx.init(params).hyperparams
    assert (float(held["fit_exponent"]), round(float(held["rho"]), 3)) == (1.0, 0.05)
    assert _same(*_updates(tx, masam_jax.recommended(labels_of, fit_exponent=1.0)))


def test_the_method_is_the_same():
    method = parse_method("recommended")
    assert method.title == "Recommended ρ=0.05"
    assert {name: getattr(method.options, name) for name in RECOMMENDED} == RECOMMENDED
    ours, theirs = _updates(
        method.transformation(labels_of, Context(steps_per_epoch=2)),
        masam_jax.recommended(labels_of),
    )
    assert _same(ours, theirs)


def test_what_it_does_not_name_is_as_in_masam():
    fields = MasamOptions.__dataclass_fields__
    assert set(fields) == set(RecommendedOptions.__dataclass_fields__)
    for name, field in RecommendedOptions.__dataclass_fields__.items():
        assert field.default == RECOMMENDED.get(name, fields[name].default)


def test_titles_say_what_was_changed():
    spec = "recommended:rho=0.1,scale_by_alignment=true,radius=filter,correct_other=false"
    title = parse_method(spec).title
    assert title == "Recommended ρ=0.1, scaled by γ, by filters, head not corrected"
    for off in ("none", "0"):
        title = parse_method(f"recommended:fit_exponent={off}").title
        assert title == "Recommended ρ=0.05, whatever the fit"


def test_a_search_is_of_what_is_read():
    assert set(parse_method("recommended").search) == {"rho", "fit_exponent", "weight"}
    for name in ("masam", "recommended"):
        for select in ("dominant", "weakest", "soft"):
            assert {"alpha", "beta"} < set(parse_method(f"{name}:select={select}").search)
        for select in ("all", "random", "lowest_loss", "audio"):
            assert not {"alpha", "beta"} & set(parse_method(f"{name}:select={select}").search)


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="rhoo"):
        masam_jax.recommended(labels_of, rhoo=1)
    with pytest.raises(ValueError, match="fit_exponent must be a finite number >= 0, got -1"):
        masam_jax.recommended(labels_of, fit_exponent=-1)
