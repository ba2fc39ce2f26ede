import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.data.corruption import drop, present_rows

NAMES = ("audio", "text", "video")
RATES = {"audio": 0.2, "video": 0.7}


def test_rates_are_kept_and_modalities_are_independent():
    present = present_rows(20_000, NAMES, RATES, 0, keep_one=False)
    assert list(present) == list(NAMES)
    assert all(rows.dtype == np.bool_ and rows.shape == (20_000,) for rows in present.values())
    assert present["text"].all()
    # Four standard deviations of a share of 20,000 are at most 0.014; the seed is fixed.
    missing = {name: 1 - rows.mean() for name, rows in present.items()}
    assert abs(missing["audio"] - 0.2) < 0.014
    assert abs(missing["video"] - 0.7) < 0.014
    both = (~present["audio"] & ~present["video"]).mean()
    assert abs(both - 0.2 * 0.7) < 0.014


def test_recorded_draws_never_change():
    present = present_rows(8, ("audio", "video"), 0.6, 5)
    assert {name: rows.astype(int).tolist() for name, rows in present.items()} == {
        "audio": [1, 1, 0, 1, 0, 1, 1, 0],
        "video": [1, 0, 1, 0, 1, 1, 0, 1],
    }


def test_a_draw_depends_on_seed_row_and_name_alone():
    many = present_rows(100, NAMES, 0.5, 3, keep_one=False)
    few = present_rows(40, ("video", "tabular"), {"video": 0.5, "tabular": 1.0}, 3, keep_one=False)
    np.testing.assert_array_equal(few["video"], many["video"][:40])
    other = present_rows(100, NAMES, 0.5, 4, keep_one=False)
    drawn = [rows.tobytes() for found in (many, other) for rows in found.values()]
    assert len(set(drawn)) == 6


def test_what_is_missing_at_a_rate_is_missing_at_every_higher_one():
    lower = present_rows(500, NAMES, 0.3, 0, keep_one=False)
    higher = present_rows(500, NAMES, 0.6, 0, keep_one=False)
    for name in NAMES:
        assert not (higher[name] & ~lower[name]).any()
        assert higher[name].sum() < lower[name].sum()


def test_a_row_that_would_lose_everything_keeps_one_drawn_uniformly():
    plain = present_rows(9000, NAMES, 0.7, 0, keep_one=False)
    kept = present_rows(9000, NAMES, 0.7, 0)
    lost = ~np.any(list(plain.values()), axis=0)
    count = np.sum(list(kept.values()), axis=0)
    assert lost.sum() > 2500
    assert (count[lost] == 1).all()
    for name in NAMES:
        np.testing.assert_array_equal(kept[name][~lost], plain[name][~lost])
        share = kept[name][lost].mean()
        # Four standard deviations of a third of 2500 or more; the seed is fixed.
        assert abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / lost.sum())


def test_the_share_missing_of_two_modalities_is_as_documented():
    present = present_rows(20_000, ("a", "b"), 0.5, 0)
    assert abs((~present["a"]).mean() - (0.5 - 0.5**2 / 2)) < 0.014


def test_a_rate_of_one_takes_a_modality_away_and_zero_leaves_it():
    present = present_rows(300, NAMES, {"audio": 1.0, "video": 0.5, "text": 0.5}, 0)
    assert not present["audio"].any()
    assert (present["text"] | present["video"]).all()
    assert not any(rows.any() for rows in present_rows(300, NAMES, 1.0, 0, keep_one=False).values())
    np.testing.assert_array_equal(
        np.sum(list(present_rows(300, NAMES, 1.0, 0).values()), axis=0), np.ones(300)
    )
    assert all(rows.all() for rows in present_rows(300, NAMES, 0.0, 0).values())
    assert present_rows(300, ("audio",), 0.9, 0)["audio"].all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rates": 1.2}, r"rates\['audio'\] must be a number in \[0, 1\], got 1.2"),
        ({"rates": {"text": float("nan")}}, r"rates\['text'\] must be .*, got nan"),
        ({"rates": {"vidoe": 0.5}}, r"rates: unknown modality 'vidoe'; did you mean 'video'"),
        ({"modalities": ()}, "modalities are empty"),
        ({"num_rows": -1}, "num_rows is -1"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        present_rows(**({"num_rows": 4, "modalities": NAMES, "rates": 0.5, "seed": 0} | arguments))


def _inputs():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(1, 255, (3, 2, 2, 1), np.uint8),
        "sequence": {
            "values": rng.normal(size=(3, 4, 2)).astype(np.float32),
            "mask": np.ones((3, 4), bool),
        },
        "text": {"tokens": np.full((3, 5), 7, np.int32), "mask": np.ones((3, 5), bool)},
    }


PRESENT = {"image": [True, False, True], "text": np.array([False, True, True])}


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_drop_puts_zeros_where_a_row_lacks_the_modality(transform):
    inputs = _inputs()
    present = {name: jnp.array(rows) for name, rows in PRESENT.items()}
    dropped = transform(drop)(inputs, present)
    assert jax.tree.structure(dropped) == jax.tree.structure(inputs)
    for name, rows in {**PRESENT, "sequence": [True] * 3}.items():
        for found, given in zip(
            jax.tree.leaves(dropped[name]), jax.tree.leaves(inputs[name]), strict=True
        ):
            assert found.dtype == given.dtype
            for row, here in enumerate(rows):
                wanted = given[row] if here else np.zeros_like(given[row])
                np.testing.assert_array_equal(found[row], wanted)


def test_drop_leaves_no_nan_and_no_gradient_behind():
    values = jnp.array([[1.0, 2.0], [jnp.nan, 3.0]])
    present = {"a": jnp.array([True, False])}

    def total(x):
        return jnp.sum(drop({"a": x}, present)["a"] ** 2)

    assert total(values) == 5.0
    np.testing.assert_array_equal(jax.grad(total)(values), [[2.0, 4.0], [0.0, 0.0]])


def test_drop_maps_over_seeds():
    inputs = {"a": jnp.ones((2, 3, 4)), "b": jnp.ones((2, 3))}
    present = {"a": jnp.array([[True, False, True], [False, True, True]])}
    mapped = jax.vmap(drop)(inputs, present)
    np.testing.assert_array_equal(mapped["a"], np.broadcast_to(present["a"][..., None], (2, 3, 4)))
    np.testing.assert_array_equal(mapped["b"], np.ones((2, 3)))


def test_drop_refuses_unknown_names_and_other_numbers_of_rows():
    with pytest.raises(ValueError, match=r"present: unknown modality 'imag'; did you mean 'image'"):
        drop(_inputs(), {"imag": np.ones(3, bool)})
    with pytest.raises(ValueError, match=r"present\['image'\] has shape \(2,\)"):
        drop(_inputs(), {"image": np.ones(2, bool)})
