"""Every data set from made-up files to samples."""

import pytest

from masam_jax.data.builders.registry import BUILDERS, builder_class
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.draws import Draws
from masam_jax.data.modality import check_sample
from tests.data.builders.sources import fixture_options, fixture_spec, make_any_source


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def builder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    make_any_source(request.param, place / "source")
    kind = builder_class(request.param)
    options = kind.OPTIONS(**fixture_options(request.param))
    builder = kind(data_dir=place / "prepared", options=options)
    builder.prepare(place / "source")
    return builder


def test_there_is_enough_of_every_class(builder):
    index = builder.index
    sizes = {"train_size": None, "validation_size": None, "test_size": None}
    train, validation, test = builder.split(index, seed=0, split_seed=0, **sizes)
    assert not builder.damaged
    assert len(train) >= 12
    assert len(validation) >= 2
    assert len(test) >= 6
    for rows in (train, test):
        # Each class, or both values of each label.
        if builder.MULTI_LABEL:
            assert (index.labels[rows].min(axis=0) == 0).all()
            assert (index.labels[rows].max(axis=0) == 1).all()
        else:
            assert set(index.labels[rows]) == set(index.labels)


def test_samples_are_as_said_with_and_without_augmentation(builder):
    names = dict.fromkeys(builder.index.splits.tolist())
    examples = [example for name in names for example in builder.as_data_source(split=name)]
    builder.fitted = builder.fit(lambda: iter(examples))
    for example in examples:
        for draws in (None, Draws(0, 1)):
            sample = builder.decode(example, draws)
            # Stays without an X-ray are stored too, and are in no part of the paired setting.
            if "+" in example["key"].decode() or not builder.name.startswith("mimic"):
                assert set(sample) == set(builder.modalities)
            for name, values in sample.items():
                check_sample(name, builder.modalities[name], values)


def test_the_specification_reads_as_these_options(builder):
    name, options = parse_dataset(fixture_spec(builder.name))
    assert name == builder.name
    assert options == builder.options


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'mnist' is none of"):
        make_any_source("mnist", tmp_path)
