"""Keys of every implementation, typed and raw, become threefry2x32's uint32[2]."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam, ogm_ge
from masam_jax.core.random_keys import fold_raw, raw_key, seed_key, split_raw, typed_key, with_key

IMPLEMENTATIONS = ("threefry2x32", "rbg", "unsafe_rbg")
OTHERS = IMPLEMENTATIONS[1:]
LABELS = {"a": "a", "v": "v"}
PARAMS = {"a": jnp.arange(1.0, 4.0), "v": jnp.arange(1.0, 3.0)}
SIGNALS = {
    "fusion_grads": PARAMS,
    "unimodal_grads": PARAMS,
    "unimodal_losses": {"a": jnp.float32(1), "v": jnp.float32(2)},
    "fusion_grad_fn": lambda params, modality=None: params,
    "confidence": {"a": jnp.float32(3), "v": jnp.float32(2)},
}
DRAWS = {
    "masam": lambda key: masam(LABELS, select="random", dispatch="dense", key=key),
    "ogm_ge": lambda key: ogm_ge(LABELS, key=key, tensors="all"),
}


def _fold(words):
    """The first two words, and the others hashed into them one by one."""
    key = jnp.asarray(words[:2], jnp.uint32)
    for word in words[2:]:
        key = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), word)
        key = jax.random.key_data(key)
    return np.asarray(key)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**32 - 1])
def test_a_seed_has_the_key_that_jax_makes_of_it(seed):
    want = jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))
    np.testing.assert_array_equal(seed_key(seed), want)


def test_a_large_seed_is_another_one():
    assert seed_key(2**32 + 5).tolist() == [1, 5]


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_any_key_becomes_two_words(impl, shape):
    keys = jax.random.split(jax.random.key(3, impl=impl), shape) if shape else None
    keys = jax.random.key(3, impl=impl) if keys is None else keys
    data = np.asarray(jax.random.key_data(keys))
    want = [_fold(words) for words in data.reshape(-1, data.shape[-1])]
    for given in (keys, jax.random.key_data(keys), data):
        got = raw_key(given)
        assert (got.shape, got.dtype) == ((*shape, 2), jnp.uint32)
        np.testing.assert_array_equal(got.reshape(-1, 2), want)
    np.testing.assert_array_equal(jax.jit(raw_key)(keys), got)
    if shape:
        np.testing.assert_array_equal(jax.vmap(raw_key)(keys), got)
    assert len({tuple(words) for words in np.reshape(got, (-1, 2)).tolist()}) == keys.size


@pytest.mark.parametrize("impl", OTHERS)
def test_every_word_of_a_long_key_counts(impl):
    words = np.array(jax.random.key_data(jax.random.key(1, impl=impl)))
    found = {tuple(raw_key(words).tolist())}
    for place in range(len(words)):
        changed = words.copy()
        changed[place] ^= 1
        found.add(tuple(raw_key(changed).tolist()))
    assert len(found) == 1 + len(words)


@pytest.mark.parametrize("impl", OTHERS)
def test_the_default_implementation_changes_nothing(impl):
    def drawn():
        key, kept = split_raw(seed_key(5))
        state = with_key(masam(LABELS).init(PARAMS), seed_key(5))
        return [
            raw_key(None),
            state.key,
            kept,
            fold_raw(seed_key(5), 3),
            jax.random.normal(key, (4,)),
            jax.random.normal(typed_key(seed_key(5)), (4,)),
        ]

    plain = drawn()
    with jax.default_prng_impl(impl):
        for got, want in zip(drawn(), plain, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("method", DRAWS)
@pytest.mark.parametrize("impl", OTHERS)
def test_methods_take_keys_of_other_implementations(method, impl):
    def run(key):
        tx = DRAWS[method](key)
        state, found = tx.init(PARAMS), []
        step = jax.jit(lambda state: tx.update(PARAMS, state, PARAMS, **SIGNALS))
        for _ in range(8):
            updates, state = step(state)
            chosen = state.dominant if method == "masam" else updates["a"]
            found.append(np.asarray(chosen))
        return np.stack(found)

    first, second = (jax.random.key(seed, impl=impl) for seed in range(2))
    drawn = run(first)
    np.testing.assert_array_equal(run(first), drawn)
    np.testing.assert_array_equal(run(jax.random.key_data(first)), drawn)
    assert (run(second) != drawn).any()
    with jax.default_prng_impl(impl):
        np.testing.assert_array_equal(run(jax.random.PRNGKey(0)), drawn)
        unseeded = run(None)
    np.testing.assert_array_equal(run(None), unseeded)


@pytest.mark.parametrize("impl", OTHERS)
def test_seeds_with_keys_of_other_implementations_keep_to_themselves(impl):
    keys = jax.random.split(jax.random.key(0, impl=impl), 3)

    def choices(key):
        tx = DRAWS["masam"](key)

        def step(state, _):
            _, state = tx.update(PARAMS, state, PARAMS, **SIGNALS)
            return state, state.dominant

        return jax.lax.scan(step, tx.init(PARAMS), length=16)[1]

    together = jax.jit(jax.vmap(choices))(keys)
    for key, found in zip(keys, together, strict=True):
        np.testing.assert_array_equal(jax.jit(choices)(key), found)
    assert (together[0] != together[1]).any()


@pytest.mark.parametrize(
    "key, message",
    [
        (0, r"key must be a PRNG key, such as jax.random.key\(0\), or None, got 0"),
        ([1, 2], r"got \[1, 2\]"),
        (np.zeros(2, np.float32), r"typed or raw uint32\[..., 2\], got float32\[2\]"),
        (np.zeros((), np.uint32), r"got uint32\[\]"),
        (np.zeros((2, 1), np.uint32), r"got uint32\[2, 1\]"),
    ],
)
def test_what_is_no_key_is_refused(key, message):
    with pytest.raises(ValueError, match=message):
        masam(LABELS, key=key).init(PARAMS)
    with pytest.raises(ValueError, match=message):
        typed_key(key)
