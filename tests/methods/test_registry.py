"""The registry, and specifications of methods; their grammar is in ``tests/core/test_specs.py``."""

import jax
import jax.numpy as jnp
import pytest

from masam_jax.core.random_keys import with_key
from masam_jax.methods import Context, Method, get_method, method_names, parse_method, register

LABELS = {"a": "a", "b": "b", "head": "other"}
PARAMS = {name: jnp.ones(2, jnp.float32) for name in LABELS}


def test_built_in_methods():
    assert set(method_names()) >= {"fusion_only", "late_fusion", "masam", "sam"}
    assert list(method_names()) == sorted(method_names())


def test_options_are_read_by_their_types():
    method = parse_method(
        "masam:rho=12,select=all,scale_by_alignment=false,alignment=per_tensor,alpha=1e-1"
    )
    options = method.options
    assert (options.rho, options.select, options.alignment) == (12.0, "all", "per_tensor")
    assert options.scale_by_alignment is False
    assert options.alpha == 0.1
    assert method.spec == (
        "masam:rho=12,alpha=0.1,select=all,scale_by_alignment=false,alignment=per_tensor"
    )
    assert parse_method(method.spec) == method


def test_equal_options_have_one_specification():
    assert parse_method("masam:rho=0.3") == parse_method("masam") == parse_method(" masam ")
    assert parse_method("masam:rho=3.0,select=all") == parse_method("masam:select=all,rho=3")


@pytest.mark.parametrize(
    "spec, title",
    [
        ("fusion_only", "fusion loss alone"),
        ("late_fusion", "late fusion"),
        ("late_fusion:weight=0.5", "late fusion λ=0.5"),
        ("sam:rho=1", "SAM ρ=1"),
        ("masam:rho=12", "MASAM ρ=12"),
        ("masam:rho=12,select=all", "MASAM ρ=12, select=all"),
        ("masam:scale_by_alignment=false", "MASAM ρ=0.3, γ:=1"),
    ],
)
def test_titles(spec, title):
    assert parse_method(spec).title == title


def test_slugs_are_file_names_and_tell_specifications_apart():
    specs = ["masam", "masam:rho=12", "masam:rho=1.2", "masam:rho=12,select=all", "sam:rho=12"]
    slugs = [parse_method(spec).slug for spec in specs]
    assert len(set(slugs)) == len(specs)
    assert all(set(slug).isdisjoint("/:,= \\") for slug in slugs)


@pytest.mark.parametrize(
    "spec, message",
    [
        ("masm", "unknown method 'masm'; did you mean 'masam'"),
        ("", "unknown method ''"),
        ("masam:", "method 'masam:': nothing after the colon"),
        ("masam:roh=3", "method 'masam:roh=3': unknown option 'roh'; did you mean 'rho'"),
        ("masam:alignment=per_tensr", "did you mean 'per_tensor'"),
        ("masam:rho=-1", "rho=-1.0 is out of range"),
        ("masam:rho=nan", "rho=nan is out of range"),
        ("masam:alpha=1.5", "alpha=1.5 is out of range"),
        ("masam:beta=-0.1", "beta=-0.1 is out of range"),
        ("sam:rho=inf", "rho=inf is out of range"),
        ("late_fusion:weight=0", "weight=0.0 is out of range"),
        ("fusion_only:weight=1", "unknown option 'weight'"),
    ],
)
def test_mistakes_are_named(spec, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse_method(spec)


def test_weights():
    assert parse_method("fusion_only").loss_weight == 0.0
    assert parse_method("masam:weight=0.5").loss_weight == 0.5


@pytest.mark.parametrize("spec", ["fusion_only", "late_fusion", "sam", "masam:select=random"])
def test_transformations_start_and_accept_unknown_signals(spec):
    tx = parse_method(spec).transformation(LABELS, Context())
    state = tx.init(PARAMS)
    if spec in ("fusion_only", "late_fusion"):
        updates, _ = tx.update(PARAMS, state, PARAMS, unheard_of=1)
        assert jnp.array_equal(updates["a"], PARAMS["a"])


def test_modality_is_checked_against_the_labels():
    method = parse_method("masam:select=c")
    with pytest.raises(ValueError, match="'c'"):
        method.transformation(LABELS, Context()).init(PARAMS)


def test_random_selection_draws_from_the_key_of_its_state():
    tx = parse_method("masam:select=random").transformation(LABELS, Context())

    def initial(seed):
        return with_key((tx.init(PARAMS), PARAMS), jax.random.PRNGKey(seed))[0]

    assert jnp.array_equal(initial(1).key, jax.random.PRNGKey(1))
    assert not jnp.array_equal(initial(1).key, initial(2).key)


def test_names_are_taken_once():
    with pytest.raises(ValueError, match="'masam' is registered already"):
        register(get_method("masam"))


def test_host_dispatch_follows_the_selection():
    assert parse_method("masam").host_dispatch
    assert parse_method("masam:select=random").host_dispatch
    assert not parse_method("masam:select=all").host_dispatch
    assert not parse_method("late_fusion").host_dispatch


def test_method_is_documented():
    assert isinstance(get_method("sam"), Method)
    assert all(get_method(name).summary for name in method_names())
