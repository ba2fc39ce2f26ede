"""One loss out of what `multimodal_value_and_grad` accepts."""

import jax.numpy as jnp
import pytest

from masam_jax import LateFusion, WeightedMean, multimodal_value_and_grad
from masam_jax.geometry import fusion_loss, total_loss, unimodal_loss

PARAMS = {"a": jnp.asarray(3.0), "b": jnp.asarray(4.0)}


def plain(params, x, y):
    weighted = WeightedMean(params["b"] * y * 2, jnp.asarray(2.0))
    return params["a"] * params["b"] * x, {"b": weighted, "a": params["a"] ** 2}


LATE = LateFusion(
    {"a": lambda params, x, y: params["a"] * x, "b": lambda params, x, y: params["b"] * y},
    lambda params, features, x, y: (features["a"] + features["b"], features),
)


@pytest.mark.parametrize("loss_fn", [plain, LATE])
@pytest.mark.parametrize("weights", [None, 0.5, {"a": 0.25, "b": 2.0}])
def test_they_are_those_of_the_transformation(loss_fn, weights):
    batch = (jnp.asarray(2.0), jnp.asarray(5.0))
    losses, _, _ = multimodal_value_and_grad(loss_fn, loss_weights=weights)(PARAMS, *batch)
    assert fusion_loss(loss_fn)(PARAMS, batch) == losses.fusion
    assert unimodal_loss(loss_fn, "b")(PARAMS, batch) == losses.unimodal["b"]
    assert total_loss(loss_fn, loss_weights=weights)(PARAMS, batch) == losses.total


def test_one_argument_and_aux():
    def with_aux(params, x):
        return x["x"] * params["a"], {"a": params["a"]}, "aux"

    assert fusion_loss(with_aux, has_aux=True)(PARAMS, {"x": jnp.asarray(2.0)}) == 6


def test_of_the_same_functions_they_are_the_same():
    """So that a program is compiled once."""
    assert fusion_loss(plain) == fusion_loss(plain)
    assert hash(unimodal_loss(plain, "a")) == hash(unimodal_loss(plain, "a"))
    assert unimodal_loss(plain, "a") != unimodal_loss(plain, "b")
    weights = {"a": 1.0, "b": 2.0}
    assert hash(total_loss(plain, loss_weights=weights)) == hash(
        total_loss(plain, loss_weights=weights)
    )
    assert total_loss(plain) != fusion_loss(plain)


def test_mistakes():
    batch = (jnp.asarray(2.0), jnp.asarray(5.0))
    with pytest.raises(ValueError, match=r"unknown modality 'c' \(known: a, b\)"):
        unimodal_loss(plain, "c")(PARAMS, batch)
    with pytest.raises(ValueError, match="must be a function or a LateFusion, got 3"):
        fusion_loss(3)
    with pytest.raises(ValueError, match="loss_weights must be a finite number >= 0, got -1"):
        total_loss(plain, loss_weights=-1)
    with pytest.raises(ValueError, match=r"loss_weights names \['a'\]"):
        total_loss(plain, loss_weights={"a": 1.0})(PARAMS, batch)
