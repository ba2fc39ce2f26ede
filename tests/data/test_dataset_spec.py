"""Specifications of data sets; their grammar is in ``tests/core/test_specs.py``."""

import sys

import pytest

from masam_jax.data.builders.av_digits import AvDigitsOptions
from masam_jax.data.builders.crema_d import CremaDOptions
from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.dataset_spec import (
    all_dataset_names,
    is_published,
    options_of,
    parse_dataset,
    write_dataset,
)
from masam_jax.data.shipped import SHIPPED
from masam_jax.data.synthetic import SyntheticConfig


def test_names_are_those_of_builders_and_of_the_package():
    names = all_dataset_names()
    assert names == tuple(sorted(names))
    assert set(names) == {*BUILDERS, *SHIPPED}
    assert [name for name in names if not is_published(name)] == sorted(SHIPPED)


@pytest.mark.parametrize(
    "spec, options",
    [
        ("crema_d", CremaDOptions()),
        (" crema_d:split=actor,frames=3 ", CremaDOptions(split="actor", frames=3)),
        ("crema_d:audio = fbank", CremaDOptions(audio="fbank")),
        ("av_digits:snr_db=none,samples=40", AvDigitsOptions(snr_db=None, samples=40)),
        ("av_digits:snr_db=-3.5,samples=None", AvDigitsOptions(snr_db=-3.5)),
        ("synthetic:dominance=4/1", SyntheticConfig(dominance=(4.0, 1.0))),
        ("synthetic:noise=2,seed=7", SyntheticConfig(noise=2.0, seed=7)),
    ],
)
def test_values_are_read_by_their_type(spec, options):
    name, found = parse_dataset(spec)
    assert name == spec.strip().partition(":")[0]
    assert found == options
    assert type(found) is options_of(name)


def test_bools_are_words():
    assert parse_dataset("adni:diagnostic_scores=false").options.diagnostic_scores is False


@pytest.mark.parametrize(
    "spec, canonical",
    [
        ("mfeat", "mfeat"),
        ("crema_d:frames=2", "crema_d"),
        ("crema_d:frames=1,split=actor", "crema_d:split=actor,frames=1"),
        ("adni:diagnostic_scores=false", "adni:diagnostic_scores=false"),
        ("av_digits:snr_db=none", "av_digits:snr_db=none"),
        ("synthetic:dominance=4/1", "synthetic:dominance=4/1"),
    ],
)
def test_the_shortest_form_is_read_again(spec, canonical):
    dataset = parse_dataset(spec)
    assert write_dataset(dataset) == canonical
    assert parse_dataset(canonical) == dataset


@pytest.mark.parametrize(
    "spec, message",
    [
        ("crema", r"unknown dataset 'crema'; did you mean 'crema_d'\? \(known: adni, "),
        ("", "unknown dataset ''"),
        ("crema_d:", "dataset 'crema_d:': nothing after the colon"),
        ("crema_d:splt=actor", r"unknown option 'splt'; did you mean 'split'\? \(known: split"),
        ("crema_d:split=actr", r"unknown split 'actr'; did you mean 'actor'\? \(known: published"),
        ("crema_d:frames=7", r"frames=7 is out of range: expected an integer in \[1, 3\]"),
        ("mfeat:seed=1", r"unknown option 'seed' \(known: none\)"),
        ("synthetic:dims=3", r"unknown option 'dims'.*\(known: samples, num_classes, dominance, "),
        ("synthetic:dominance=4//1", "dominance='' is not a float"),
        ("synthetic:samples=1", "samples=1 is out of range: expected at least one row"),
    ],
)
def test_mistakes_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        parse_dataset(spec)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    for module in list(sys.modules):
        if module.startswith("masam_jax.data.builders.") and not module.endswith(".registry"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert parse_dataset("mfeat").name == "mfeat"
    with pytest.raises(ValueError, match=r"'crema_d' needs the package tensorflow_datasets: pip"):
        parse_dataset("crema_d")
