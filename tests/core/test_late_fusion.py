"""LateFusion: the same numbers as a plain loss, and guarded against shared encoders."""

import chex
import jax
import jax.numpy as jnp
import pytest
from jax.flatten_util import ravel_pytree

from masam_jax import LateFusion, label_by_path, masam, multimodal_value_and_grad
from masam_jax.core.late_fusion import check_separate_encoders, reads_other_labels
from masam_jax.core.partition import resolve_partition

PARAMS = {
    "a": jnp.asarray([[0.3, -0.2], [0.1, 0.7]]),
    "v": jnp.asarray([[0.5, 0.4], [-0.6, 0.2]]),
    "shared": jnp.asarray(1.3),
    "head": jnp.asarray([0.2, -0.4]),
}
X = jnp.asarray([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
LABELS = {"a": "a", "v": "v", "shared": "other", "head": "other"}


def encode(name):
    return lambda params, x: jnp.tanh(x @ params[name] * params["shared"])


def objective(params, features, x):
    fused = jnp.mean((sum(features.values(), jnp.zeros(())) @ params["head"] - 1.0) ** 2)
    return fused, {m: jnp.mean((z @ params["head"]) ** 2) for m, z in features.items()}


LATE = LateFusion(encoders={"v": encode("v"), "a": encode("a")}, objective=objective)


@pytest.mark.parametrize("weights", [None, 0.5, 0.0, {"a": 0.3, "v": 2.0}, {"a": 0.0, "v": 1.0}])
@pytest.mark.parametrize("mode", ["auto", "direct", "difference"])
def test_equals_the_plain_loss(weights, mode):
    options = {"loss_weights": weights, "unimodal_gradients": mode}
    late = multimodal_value_and_grad(LATE, **options)(PARAMS, X)
    plain = multimodal_value_and_grad(LATE.__call__, **options)(PARAMS, X)
    chex.assert_trees_all_close(late[:2], plain[:2], rtol=1e-5, atol=1e-7)
    for name in ("fusion_grads", "total_grads", "unimodal_losses"):
        chex.assert_trees_all_close(late[2][name], plain[2][name], rtol=1e-5, atol=1e-7)
    expected = jax.grad(lambda p: sum(LATE(p, X)[1].values(), jnp.zeros(())))(PARAMS)
    chex.assert_trees_all_close(late[2]["unimodal_grads"], expected, rtol=2e-5, atol=1e-6)
    moved = jax.tree.map(lambda leaf: leaf + 0.1, PARAMS)
    assert_close = chex.assert_trees_all_close
    assert_close(late[2]["total_grad_fn"](moved), plain[2]["total_grad_fn"](moved), rtol=1e-5)
    assert_close(late[2]["fusion_grad_fn"](moved), plain[2]["fusion_grad_fn"](moved), rtol=1e-5)


def test_only_the_named_encoder_runs_again():
    calls = {"a": 0, "v": 0}

    def counted(name):
        def run(params, x):
            calls[name] += 1
            return encode(name)(params, x)

        return run

    late = LateFusion({m: counted(m) for m in ("a", "v")}, objective)
    _, _, signals = multimodal_value_and_grad(late)(PARAMS, X)
    assert calls == {"a": 1, "v": 1}
    signals["fusion_grad_fn"](PARAMS, "v")
    assert calls == {"a": 1, "v": 2}
    signals["fusion_grad_fn"](PARAMS)
    assert calls == {"a": 2, "v": 3}


def run_step(labels, late=LATE):
    tx = masam(labels)
    _, grads, signals = multimodal_value_and_grad(late)(PARAMS, X)
    return tx.update(grads, tx.init(PARAMS), PARAMS, **signals)


def test_a_shared_leaf_labelled_other_is_fine():
    updates, _ = run_step(LABELS)
    chex.assert_tree_all_finite(updates)


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
@pytest.mark.parametrize("select", ["dominant", "all", "a"])
def test_leaves_of_no_modality_take_the_whole_gradient_at_the_perturbed_point(dispatch, select):
    """What every encoder reads too: by the equation, of the loss in one piece."""
    tx = masam(LABELS, rho=0.4, select=select, correct_other=True, dispatch=dispatch)

    def update(loss):
        _, grads, signals = multimodal_value_and_grad(loss)(PARAMS, X)
        return *tx.update(grads, tx.init(PARAMS), PARAMS, **signals), grads

    update = update if dispatch == "host" else jax.jit(update, static_argnums=0)
    (got, state, grads), (want, _, _) = update(LATE), update(LATE.__call__)
    chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-7)
    scores, clean = state.scores, jax.grad(lambda p: LATE(p, X)[0])(PARAMS)
    perturbed = {"dominant": "av"[int(state.dominant)], "all": "av", "a": "a"}[select]
    moved = dict(PARAMS)
    for m in perturbed:
        length = 0.4 * scores.alignment[m] / jnp.linalg.norm(clean[m])
        moved[m] = PARAMS[m] + length * clean[m]
    there = jax.grad(lambda p: LATE(p, X)[0])(moved)
    for m in (*perturbed, "shared", "head"):
        corrected = grads[m] + there[m] - clean[m]
        chex.assert_trees_all_close(got[m], corrected, rtol=1e-4, atol=1e-6)
        assert (got[m] != grads[m]).any()


def test_a_shared_leaf_labelled_with_a_modality_is_refused():
    with pytest.raises(ValueError, match=r"encoder 'v' reads 'shared', which is labelled 'a'"):
        run_step({**LABELS, "shared": "a"})


@pytest.mark.parametrize(
    ("encoders", "needed"),
    [
        ({"a": encode("a"), "v": encode("v")}, True),
        ({"a": lambda p, x: x @ p["a"], "v": encode("v")}, True),
        ({"a": lambda p, x: x @ p["a"], "v": lambda p, x: x @ p["v"]}, False),
    ],
)
def test_whether_the_gradient_of_other_needs_every_encoder(encoders, needed):
    late = LateFusion(encoders, objective)
    partition = resolve_partition(LABELS, PARAMS)
    for loss_fn, expected in ((late, needed), (late.__call__, False)):
        _, _, signals = multimodal_value_and_grad(loss_fn)(PARAMS, X)
        for name in ("fusion_grad_fn", "total_grad_fn"):
            assert signals[name].other_needs_every_encoder(PARAMS, partition) is expected
    # A shared leaf of a modality's own is another matter, and refused elsewhere.
    owned = resolve_partition({**LABELS, "shared": "a"}, PARAMS)
    assert not reads_other_labels(late, PARAMS, (X,), owned)


def test_a_jitted_encoder_that_is_given_everything_reads_only_what_it_uses():
    late = LateFusion({m: jax.jit(encode(m)) for m in ("a", "v")}, objective)
    chex.assert_tree_all_finite(run_step(LABELS, late)[0])


def packed(name):
    def run(params, x):
        flat, unpack = ravel_pytree(params)
        return encode(name)(unpack(flat), x)

    return run


def behind_a_barrier(name):
    return lambda params, x: encode(name)(jax.lax.optimization_barrier(params), x)


def with_a_rule(name):
    run = jax.custom_vjp(encode(name))
    run.defvjp(
        lambda params, x: (run(params, x), (params, x)),
        lambda operands, g: jax.vjp(encode(name), *operands)[1](g),
    )
    return run


def solved(name):
    """A fixed point by a loop with a condition, and a rule for its derivative."""

    @jax.custom_vjp
    def run(params, x):
        def body(carry):
            step, tree, _ = carry
            return step + 1, tree, encode(name)(tree, x)

        return jax.lax.while_loop(lambda c: c[0] < 2, body, (0, params, jnp.zeros_like(x)))[2]

    run.defvjp(
        lambda params, x: (run(params, x), (params, x)),
        lambda operands, g: jax.vjp(encode(name), *operands)[1](g),
    )
    return run


@pytest.mark.parametrize("wrap", [packed, behind_a_barrier, with_a_rule, solved])
def test_an_encoder_that_is_handed_everything_reads_only_what_it_uses(wrap):
    late = LateFusion({m: wrap(m) for m in ("a", "v")}, objective)
    updates, _ = run_step(LABELS, late)
    chex.assert_trees_all_close(updates, run_step(LABELS)[0], rtol=1e-5)
    with pytest.raises(ValueError, match=r"encoder 'v' reads 'shared', which is labelled 'a'"):
        run_step({**LABELS, "shared": "a"}, late)


def through_a_scatter(name):
    def run(params, x):
        flat, unpack = ravel_pytree(params)
        return encode(name)(unpack(jnp.zeros_like(flat).at[::-1].set(flat[::-1])), x)

    return run


def test_the_error_says_that_the_check_is_conservative_and_it_can_be_switched_off():
    encoders = {m: through_a_scatter(m) for m in ("a", "v")}
    with pytest.raises(ValueError, match=r"cannot follow .* counts as read.*own subtree of params"):
        run_step(LABELS, LateFusion(encoders, objective))
    late = LateFusion(encoders, objective, check_encoders=False)
    chex.assert_trees_all_close(run_step(LABELS, late)[0], run_step(LABELS)[0], rtol=1e-5)
    with pytest.raises(ValueError, match="check_encoders must be True or False, got 'no'"):
        LateFusion(encoders, objective, check_encoders="no")


def test_without_the_check_a_modality_still_needs_an_encoder():
    late = LateFusion({"a": encode("a")}, objective, check_encoders=False)
    with pytest.raises(ValueError, match=r"modalities \['v'\] of the labels have no encoder"):
        check_separate_encoders(late, PARAMS, (X,), resolve_partition(LABELS, PARAMS))


def test_a_modality_without_encoder_is_refused():
    late = LateFusion(
        {"a": encode("a")},
        lambda p, f, x: (jnp.sum(f["a"]), {"a": jnp.sum(f["a"])}),
    )
    with pytest.raises(
        ValueError, match=r"unimodal_losses has no entry for the modalities \['v'\]"
    ):
        run_step(LABELS, late)


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({}, "at least one modality"),
        ([encode("a")], "at least one modality"),
        ({1: encode("a")}, "keyed by strings, got 1"),
        ({"a": 3}, r"encoders\['a'\] must be callable, got 3"),
    ],
)
def test_bad_encoders_are_refused(encoders, message):
    with pytest.raises(ValueError, match=message):
        LateFusion(encoders, objective)
    with pytest.raises(ValueError, match="objective must be callable"):
        LateFusion({"a": encode("a")}, None)


def test_encoders_and_losses_must_match():
    late = LateFusion({"a": encode("a")}, lambda p, f, x: (jnp.sum(f["a"]), {"b": jnp.sum(X)}))
    with pytest.raises(ValueError, match=r"losses for \['b'\], and the encoders are \['a'\]"):
        multimodal_value_and_grad(late)(PARAMS, X)


def test_shared_parameters_need_a_plain_loss():
    with pytest.raises(ValueError, match="plain loss_fn, got a LateFusion"):
        multimodal_value_and_grad(LATE, shared_parameters=True)


def test_features_may_be_trees_with_statistics_and_remat_changes_nothing():
    def with_statistics(name):
        def run(params, x):
            z = encode(name)(params, x)
            return {"z": z, "mean": jax.lax.stop_gradient(z.mean(axis=0)), "count": x.shape[0]}

        return jax.checkpoint(run)

    def with_aux(params, features, x):
        losses = objective(params, {m: f["z"] for m, f in features.items()}, x)
        return (*losses, {m: f["mean"] for m, f in features.items()})

    late = LateFusion({m: with_statistics(m) for m in ("a", "v")}, with_aux)
    tree = multimodal_value_and_grad(late, has_aux=True)(PARAMS, X)
    plain = multimodal_value_and_grad(LATE)(PARAMS, X)
    chex.assert_trees_all_close(tree[1], plain[1], rtol=1e-6)
    chex.assert_trees_all_close(tree[0].aux["a"], encode("a")(PARAMS, X).mean(axis=0))
    moved = jax.tree.map(lambda leaf: leaf + 0.1, PARAMS)
    ours, reference = tree[2]["fusion_grad_fn"], plain[2]["fusion_grad_fn"]
    chex.assert_trees_all_close(ours(moved, "a"), reference(moved, "a"), rtol=1e-6)


def test_labels_by_path_fit_late_fusion():
    by_path = run_step(label_by_path({"^a$": "a", "^v$": "v", "": "other"}))
    chex.assert_trees_all_equal(by_path[0], run_step(LABELS)[0])
