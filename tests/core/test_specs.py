"""Specifications: how options are read, written, named and checked."""

import dataclasses
import re
from collections.abc import Callable
from typing import Literal

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

from masam_jax import multimodal_value_and_grad
from masam_jax.core import specs
from masam_jax.core.specs import Options, option
from masam_jax.methods.info_reg import info_reg
from masam_jax.methods.mla import mla

INFINITY = float("inf")
NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Recipe(Options):
    """Options of every kind."""

    rate: float = option(0.1, "(0, 1]")
    count: int = option(2, "[1, inf)")
    limit: float | None = option(None, "[0, inf)")
    mode: Literal["slow", "fast"] = "slow"
    loud: bool = False
    sizes: tuple[int, ...] = (8, 4)
    name: str = "mean"
    hook: Callable[[int], int] | None = None


@pytest.mark.parametrize(
    "spec, name, text",
    [
        ("masam", "masam", None),
        (" masam ", "masam", None),
        ("masam:", "masam", ""),
        ("masam:rho=1,alpha=0", "masam", "rho=1,alpha=0"),
        ("unimodal:predict=a:b", "unimodal", "predict=a:b"),
        ("", "", None),
    ],
)
def test_the_name_ends_at_the_first_colon(spec, name, text):
    assert specs.cut_specification(spec) == (name, text)


@pytest.mark.parametrize(
    "text, changed",
    [
        (None, {}),
        ("rate=0.5", {"rate": 0.5}),
        (" rate = 5e-1 , count = 3 ", {"rate": 0.5, "count": 3}),
        ("rate=1", {"rate": 1.0}),
        ("limit=2.5", {"limit": 2.5}),
        ("limit=none", {}),
        ("limit=None", {}),
        ("mode=fast", {"mode": "fast"}),
        ("loud=true", {"loud": True}),
        ("loud=True", {"loud": True}),
        ("loud=false", {}),
        ("sizes=3", {"sizes": (3,)}),
        ("sizes=3/2/1", {"sizes": (3, 2, 1)}),
        ("name=a=b", {"name": "a=b"}),
    ],
)
def test_values_are_read_by_the_type_of_their_field(text, changed):
    found = specs.read_options(Recipe(), text, "recipe")
    assert found == Recipe(**changed)
    for field in dataclasses.fields(Recipe):
        value, expected = getattr(found, field.name), getattr(Recipe(**changed), field.name)
        assert type(value) is type(expected)


def test_options_that_are_not_named_stay_as_they_are_given():
    found = specs.read_options(Recipe(rate=0.5, loud=True), "rate=0.2,count=3", "recipe")
    assert found == Recipe(rate=0.2, count=3, loud=True)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "nothing after the colon; expected option=value,..."),
        ("rate", "'rate' is not of the form option=value"),
        ("rate=", "'rate=' is not of the form option=value"),
        ("=1", "'=1' is not of the form option=value"),
        ("rate=1,,count=1", "'' is not of the form option=value"),
        ("rate=1,rate=1", "option 'rate' is given twice"),
        ("rte=1", "unknown option 'rte'; did you mean 'rate'? (known: rate, count, limit, "),
        ("hook=none", "unknown option 'hook' (known: "),
        ("rate=big", "rate='big' is not a float"),
        ("limit=big", "limit='big' is not a float"),
        ("count=2.0", "count='2.0' is not an int"),
        ("sizes=3//1", "sizes='' is not an int"),
        ("loud=yes", "loud='yes' is neither true nor false"),
        ("mode=fst", "unknown mode 'fst'; did you mean 'fast'? (known: slow, fast)"),
        ("rate=0", "rate=0.0 is out of range: expected a number in (0, 1]"),
        ("count=0", "count=0 is out of range: expected an integer >= 1"),
        ("limit=inf", "limit=inf is out of range: expected a finite number >= 0"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=re.escape(f"recipe 'r': {message}")):
        specs.read_options(Recipe(), text, "recipe 'r'")


@pytest.mark.parametrize(
    "options, text",
    [
        (Recipe(), ""),
        (Recipe(count=3, rate=0.5), "rate=0.5,count=3"),
        (Recipe(rate=1.0), "rate=1"),
        (Recipe(limit=2.0), "limit=2"),
        (Recipe(loud=True, mode="fast"), "mode=fast,loud=true"),
        (Recipe(sizes=(3, 2)), "sizes=3/2"),
    ],
)
def test_what_differs_from_the_defaults_is_written_in_the_order_of_the_fields(options, text):
    assert specs.write_options(options) == text
    assert [name for name, _ in specs.changed_options(options)] == re.findall(r"(\w+)=", text)


@hypothesis.given(
    strategies.builds(
        Recipe,
        rate=strategies.floats(0, 1, exclude_min=True),
        count=strategies.integers(1),
        limit=strategies.none() | strategies.floats(0, allow_infinity=False),
        mode=strategies.sampled_from(["slow", "fast"]),
        loud=strategies.booleans(),
        sizes=strategies.lists(strategies.integers(), min_size=1, max_size=3).map(tuple),
        name=strategies.just("max"),
        hook=strategies.none(),
    )
)
def test_what_is_written_is_read_again(options):
    text = specs.write_options(options)
    assert specs.read_options(Recipe(), text, "recipe") == options


def test_the_options_that_a_specification_names():
    assert specs.named_options("recipe") == frozenset()
    assert specs.named_options("recipe:") == frozenset()
    assert specs.named_options("recipe:rate=0.1, count = 3") == {"rate", "count"}


def test_what_the_grammar_cannot_write_is_no_option():
    assert list(specs.settable_options(Recipe)) == [
        "rate",
        "count",
        "limit",
        "mode",
        "loud",
        "sizes",
        "name",
    ]


@pytest.mark.parametrize(
    "value, text",
    [
        (12.0, "12"),
        (-3.0, "-3"),
        (0.5, "0.5"),
        (1e-7, "1e-07"),
        (1e14, "100000000000000"),
        (1e15, "1000000000000000.0"),
        (1e300, "1e+300"),
        (INFINITY, "inf"),
        (NAN, "nan"),
        (7, "7"),
        (np.float64(2.0), "2"),
        ("fast", "fast"),
        (True, "true"),
        (False, "false"),
        (None, "none"),
        ((2.0, 1.0, 0.5), "2/1/0.5"),
        ((3,), "3"),
    ],
)
def test_values_are_written_as_people_write_them(value, text):
    assert specs.write_value(value) == text
    if not isinstance(value, bool | tuple | None):
        assert specs.format_number(value) == text


@pytest.mark.parametrize(
    "name, known, words",
    [
        ("masm", ("sam", "masam"), "; did you mean 'masam'? (known: sam, masam)"),
        ("MASAM", ("sam", "masam"), "; did you mean 'masam'? (known: sam, masam)"),
        ("zzz", ("sam", "masam"), " (known: sam, masam)"),
        ("", ("sam",), " (known: sam)"),
        ("sam", (), " (known: none)"),
        (3, ("sam",), " (known: sam)"),
    ],
)
def test_the_nearest_known_name_is_suggested(name, known, words):
    assert specs.unknown("method", name, iter(known)) == f"unknown method {name!r}{words}"


def test_as_many_near_names_as_asked_for():
    assert specs.nearest("resnet", ["resnet18", "resnet34", "mlp"], count=3) == [
        "resnet34",
        "resnet18",
    ]
    assert len(specs.nearest("resnet", ["resnet18", "resnet34", "mlp"])) == 1


@pytest.mark.parametrize(
    "interval, inside, outside, words",
    [
        ("[0, 1]", (0, 1, 0.5), (-1e-9, 1.1, NAN, INFINITY), "a number in [0, 1]"),
        ("[0, 1)", (0, 0.999), (1, -0.1), "a number in [0, 1)"),
        ("(0, 1]", (1e-300, 1), (0, 1.1), "a number in (0, 1]"),
        ("[0, inf)", (0, 1e300), (-1, INFINITY, NAN), "a finite number >= 0"),
        ("(0, inf)", (1e-300, 7), (0, INFINITY), "a finite number > 0"),
        ("[-100, 100]", (-100, 100), (-101, 101), "a number in [-100, 100]"),
        ("(-inf, inf)", (-1e300, 0), (-INFINITY, INFINITY, NAN), "a finite number"),
    ],
)
def test_intervals_of_numbers(interval, inside, outside, words):
    for value in inside:
        specs.check_number("x", value, interval)
        specs.check_number("x", np.float64(value), interval)
    for value in outside:
        with pytest.raises(ValueError, match=re.escape(f"x must be {words}, got {value!r}")):
            specs.check_number("x", value, interval)


@pytest.mark.parametrize("value", ["1", None, True, [1.0], np.ones(2), jnp.ones(2), 1j])
def test_what_is_no_number_is_in_no_interval(value):
    with pytest.raises(ValueError, match=r"^x must be a number in \[0, 1\], got "):
        specs.check_number("x", value, "[0, 1]")


@pytest.mark.parametrize("value", [1.0, 0, -1, True, "1", None, np.float32(2), jnp.asarray(2)])
def test_what_is_no_size(value):
    with pytest.raises(ValueError, match=r"^depth must be an integer >= 1, got "):
        specs.check_number("depth", value, "[1, inf)", whole=True)


def test_whole_numbers_of_any_kind():
    for value in (1, np.int64(3), 10**400):
        specs.check_number("x", value, "[1, inf)", whole=True)
    with pytest.raises(ValueError, match=r"^fold must be an integer in \[0, 4\], got 5"):
        specs.check_number("fold", 5, "[0, 4]", whole=True)


def test_traced_values_are_taken_on_trust():
    @jax.jit
    def function(x):
        specs.check_number("x", x, "[0, 1]")
        specs.check_radius(x)
        return x

    assert function(jnp.asarray(3.0)) == 3


@pytest.mark.parametrize("depth", [0, None, 1.0, True])
def test_sizes_are_named(depth):
    specs.check_sizes(width=3, depth=1)
    with pytest.raises(ValueError, match=rf"^depth must be an integer >= 1, got {depth}"):
        specs.check_sizes(width=3, depth=depth)


def test_optional_sizes_may_be_left_out():
    specs.check_optional_sizes(width=3, depth=None)
    with pytest.raises(ValueError, match=r"^depth must be an integer >= 1, got 0"):
        specs.check_optional_sizes(width=3, depth=0)


# Every caller whose size has no meaning as None.
@pytest.mark.parametrize(
    "name, call",
    [
        ("microbatches", lambda: multimodal_value_and_grad(lambda p: p, microbatches=None)),
        ("steps_per_epoch", lambda: info_reg({"a": "a"}, steps_per_epoch=None)),
        ("history", lambda: info_reg({"a": "a"}, steps_per_epoch=3, history=None)),
        ("steps_per_epoch", lambda: mla({"a": "a"}, steps_per_epoch=None)),
    ],
)
def test_none_is_no_size(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer >= 1, got None"):
        call()


def test_a_radius_is_a_number_or_a_schedule():
    for radius in (0, 0.3, jnp.asarray(0.3), lambda step: 0.3):
        specs.check_radius(radius)
    for radius in (-0.1, NAN, INFINITY, "0.3", None, True):
        with pytest.raises(ValueError, match=r"^rho must be a schedule or a finite number >= 0, "):
            specs.check_radius(radius)


def test_choices_and_flags():
    specs.check_choice("mode", "slow", ("slow", "fast"))
    with pytest.raises(ValueError, match=r"^mode must be one of \['slow', 'fast'\], got 'quick'$"):
        specs.check_choice("mode", "quick", ("slow", "fast"))
    specs.check_flag("loud", False)
    for value in (0, None, "true"):
        with pytest.raises(ValueError, match=r"^loud must be True or False, got "):
            specs.check_flag("loud", value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rate": 0}, "rate=0 is out of range: expected a number in (0, 1]"),
        ({"rate": "fast"}, "rate=fast is out of range: expected a number in (0, 1]"),
        ({"count": 1.5}, "count=1.5 is out of range: expected an integer >= 1"),
        ({"limit": -1}, "limit=-1 is out of range: expected a finite number >= 0"),
        ({"mode": "loud"}, "mode must be one of ['slow', 'fast'], got 'loud'"),
    ],
)
def test_a_dataclass_of_options_checks_itself(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Recipe(**options)


def test_an_option_without_an_interval_may_be_anything():
    assert Recipe(sizes=(), name="").sizes == ()
