"""Titles, and calls of what takes the options, from a dataclass of options."""

import dataclasses
import inspect

import jax.numpy as jnp
import pytest

from masam_jax.core.masam import masam
from masam_jax.core.specs import Options, option
from masam_jax.methods import Context, get_method, method_names
from masam_jax.methods.from_options import built_by, call, title_of, titled

LABELS = {"a": "a", "b": "b"}


@dataclasses.dataclass(frozen=True)
class Recipe(Options):
    """An option of every way to be shown."""

    rho: float = option(0.3, "[0, inf)", "ρ={}", always=True)
    epochs: int = option(10, "[0, inf)", lambda epochs: f"{epochs or 'all'} epochs")
    kind: str = option("ratio", title="{}")
    silent: float = option(0.5, title="")
    plain: float = 0.1
    negative: bool = option(False, title="γ≥0")
    weight: float = option(1.0, "(0, inf)", " λ={}")


@pytest.mark.parametrize(
    "options, title",
    [
        ({}, "Name ρ=0.3"),
        ({"rho": 12.0}, "Name ρ=12"),
        ({"epochs": 0}, "Name ρ=0.3, all epochs"),
        ({"epochs": 3, "kind": "binary"}, "Name ρ=0.3, 3 epochs, binary"),
        ({"silent": 0.9}, "Name ρ=0.3"),
        ({"plain": 2.0}, "Name ρ=0.3, plain=2"),
        ({"negative": True}, "Name ρ=0.3, γ≥0"),
        ({"weight": 0.5}, "Name ρ=0.3 λ=0.5"),
        ({"weight": 2.0, "plain": 1.0}, "Name ρ=0.3, plain=1 λ=2"),
    ],
)
def test_titles_show_what_is_not_as_usual(options, title):
    assert title_of("Name", Recipe(**options)) == title
    assert titled("Name")(Recipe(**options)) == title


@dataclasses.dataclass(frozen=True)
class Quiet(Options):
    """Nothing that is always shown."""

    first: float = 1.0
    weight: float = option(1.0, title=" λ={}")


def test_the_first_option_has_no_comma_before_it():
    assert title_of("Name", Quiet()) == "Name"
    assert title_of("Name", Quiet(first=2.0)) == "Name first=2"
    assert title_of("Name", Quiet(weight=2.0)) == "Name λ=2"


def test_a_function_is_called_with_what_has_the_names_of_its_parameters():
    def factory(labels, *, rho, steps, kind="unnamed", other="other"):
        return labels, rho, steps, kind, other

    context = Context(steps_per_epoch=5, steps=50)
    found = call(factory, Recipe(rho=2.0), context, labels=LABELS)
    assert found == (LABELS, 2.0, 50, "ratio", "other")


def test_options_come_before_the_context_and_further_arguments_before_both():
    @dataclasses.dataclass(frozen=True)
    class Steps:
        steps: int = 7

    def factory(steps):
        return steps

    assert call(factory, Quiet(), Context(steps=50)) == 50
    assert call(factory, Steps(), Context(steps=50)) == 7
    assert call(factory, Steps(), Context(steps=50), steps=1) == 1


def test_a_class_is_called_like_a_function():
    @dataclasses.dataclass(frozen=True)
    class Product:
        steps_per_epoch: int = 1
        weight: float = 0.0

    made = call(Product, Quiet(weight=3.0), Context(steps_per_epoch=5))
    assert made == Product(steps_per_epoch=5, weight=3.0)


def test_what_a_factory_needs_and_nobody_has_is_an_error():
    with pytest.raises(TypeError, match="momentum"):
        call(lambda momentum: momentum, Quiet(), Context())


def test_a_builder_gives_the_labels_and_the_options():
    @dataclasses.dataclass(frozen=True)
    class Select:
        select: str = "b"

    params, build = {m: jnp.ones(2) for m in LABELS}, built_by(masam)
    assert set(build(Select(), LABELS, Context()).init(params).scores.score) == set(LABELS)
    with pytest.raises(ValueError, match=r"select must be one of .*'a', 'b'.*, got 'c'"):
        build(Select("c"), LABELS, Context()).init(params)


# The training loop reads them: γ of a part of the batch, λ where unimodal heads are trained.
OF_THE_LOOP = {"alignment_part", "weight"}
# What a method's objective is made of, and not its transformation.
OF_THE_OBJECTIVE = {
    "info_reg": {"parts_weight"},
    "masam": {"held_out"},
    "recommended": {"held_out"},
}


def test_no_option_is_without_effect():
    """`call` passes over options that the factory does not name, so a typo would do nothing."""
    unread = {}
    for method in map(get_method, method_names()):
        if getattr(method.build, "func", None) is built_by(masam).func:
            (factory,) = method.build.args
            names = {field.name for field in dataclasses.fields(method.options)}
            read = set(inspect.signature(factory).parameters) | OF_THE_LOOP
            unread[method.name] = names - read - OF_THE_OBJECTIVE.get(method.name, set())
    assert "masam" in unread
    assert not any(unread.values()), unread


@pytest.mark.parametrize("name", method_names())
def test_defaults_give_short_titles(name):
    """One method's defaults show at most what is always shown."""
    options = get_method(name).options()
    shown = [f for f in dataclasses.fields(options) if f.metadata.get("always")]
    title = get_method(name).title(options)
    assert title.count("=") == len(shown)
