"""What optimizers leave of a gradient's scale: two optimizers beside each other, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.gradient_scales import Sums, compared, main, table
from tests.core.optimizers import lenient

GRADIENTS = np.random.default_rng(0).normal(size=(6, 4))
FACTORS = np.array([0.5, 0.5, 2.0, 0.25, 1.0, 0.5])


def changing():
    """Step t's gradient times the t-th of the factors."""

    def update_fn(updates, state, params=None, **signals):
        factor = jnp.asarray(FACTORS, jnp.float32)[state]
        return jax.tree.map(lambda g: factor * g, updates), state + 1

    return optax.GradientTransformationExtraArgs(lambda params: jnp.zeros((), jnp.int32), update_fn)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_sums_of_numpy(name):
    optimizer = {
        "sgd": optax.sgd(0.1),
        "momentum": optax.sgd(0.1, momentum=0.9),
        "adam": lenient(optax.adam(0.1)),
    }[name]
    tx = compared(
        changing(),
        optax.with_extra_args_support(optimizer),
        lambda tree, phase: [[tree["a"]], [tree["none"]]],
    )
    params = {"a": jnp.zeros(4, jnp.float32), "none": jnp.zeros(2, jnp.float32)}
    state, update = tx.init(params), jax.jit(tx.update)
    for gradient in GRADIENTS:
        given = {"a": jnp.asarray(gradient, jnp.float32), "none": params["none"]}
        _, state = update(given, state, params)
    want = np.zeros(6)
    kept = {"before": np.zeros((2, 4)), "after": np.zeros((2, 4))}
    for t, (gradient, factor) in enumerate(zip(GRADIENTS, FACTORS, strict=True), start=1):
        made = {}
        for which, g in {"before": gradient, "after": factor * gradient}.items():
            first, second = kept[which]
            if name == "adam":
                first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
                made[which] = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
            else:
                first = (0.9 if name == "momentum" else 0) * first + g
                made[which] = first
            kept[which] = np.stack([first, second])
        lengths = {which: np.linalg.norm(step) for which, step in made.items()}
        cosine = made["before"] @ made["after"] / (lengths["before"] * lengths["after"])
        given, found = np.log(factor), np.log(lengths["after"] / lengths["before"])
        want += [1, abs(given), abs(found), given**2, given * found, cosine]
    np.testing.assert_allclose(np.array(state.sums), want, rtol=1e-4)
    if name == "sgd":
        assert want[3] == pytest.approx(want[4])


def test_the_table():
    sums = Sums(*(np.float32(x) for x in (2, 2 * np.log(4), 2 * np.log(2), 4, -2, 2)))
    nothing = Sums(*(np.float32(x) for x in (2, 0, 0, 0, 0, 2)))
    lines = table({"A": {"AdamW": sums, "SGD": nothing}}).splitlines()
    assert lines[2:] == [
        "| A | AdamW | 4.00 | 2.00 | -50% | 1.00 |",
        "| A | SGD | 1.00 | 1.00 | — | 1.00 |",
    ]


def test_a_constant_factor_is_gone_under_adam_and_whole_under_sgd(capsys):
    words = ["--seeds", "1", "--steps", "3", "--rows", "fusion_only", "--dataset"]
    main([*words, "synthetic:dominance=2/1"])
    adam, sgd = capsys.readouterr().out.splitlines()[-2:]
    assert adam.endswith("| AdamW | 4.00 | 1.00 | 0% | 1.00 |")
    assert sgd.endswith("| SGD | 4.00 | 4.00 | 100% | 1.00 |")
