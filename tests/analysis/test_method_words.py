import dataclasses

import pytest

from masam_jax.analysis.method_words import method_summary, option_words
from masam_jax.methods import method_names, parse_method

RELATIVE = "masam:rho=0.1,select=all,scale_by_alignment=false,radius=relative,correct_other=true"


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_words(name):
    assert method_summary(name)[0].isupper()
    assert method_summary(name).lower() == parse_method(name).method.summary.lower()


def test_options_of_a_name_are_explained_once():
    words = option_words(["late_fusion", "masam:rho=6,select=all", "masam:rho=48", RELATIVE])
    assert list(words) == [
        "rho",
        "select=all",
        "scale_by_alignment=false",
        "radius=relative",
        "correct_other=true",
    ]
    assert "every encoder is perturbed" in words["select=all"]
    assert words["rho"].startswith("perturbation radius ρ")
    assert all("``" not in text and "\n" not in text for text in words.values())


@pytest.mark.parametrize("name", method_names())
def test_every_option_can_be_explained(name):
    options = parse_method(name).options
    for field in dataclasses.fields(options):
        if isinstance(field.default, float):
            spec = f"{name}:{field.name}={0.5 if field.default != 0.5 else 0.25}"
            try:
                parse_method(spec)
            except ValueError:
                continue
            assert option_words([spec])[field.name]


def test_the_summary_says_which_encoders_are_perturbed():
    assert "dominant" in method_summary("masam:rho=3")
    assert "every encoder" in method_summary(RELATIVE)
    assert "drawn at random" in method_summary("masam:select=random")
    assert method_summary("recommended:select=dominant").endswith("the dominant encoder alone")
    assert method_summary("masam:select=audio").endswith("the encoder of audio alone")


def test_a_method_that_is_not_known_has_no_words():
    assert method_summary("<b>:x=1") == ""
    assert option_words(["<b>:x=1", "masam:nope=3"]) == {}
