import numpy as np
import pytest

from masam_jax.data import dataset_names, load_dataset, make_split


def test_every_name_loads_and_carries_its_name():
    assert dataset_names() == ("av_mnist", "leaves100", "mfeat", "synthetic")
    for name in dataset_names():
        assert load_dataset(name).name == name


def test_every_data_set_is_large_enough_for_the_default_split():
    for name in dataset_names():
        labels = load_dataset(name).labels
        assert np.bincount(labels[make_split(labels, seed=0).train]).min() > 0


@pytest.mark.parametrize("name, nearest", [("mfaet", "mfeat"), ("Synthetics", "synthetic")])
def test_unknown_name_gets_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=rf"unknown dataset '{name}'; did you mean '{nearest}'\?"):
        load_dataset(name)


def test_unknown_name_far_from_all_gets_the_list():
    with pytest.raises(ValueError, match="unknown dataset 'qqq' \\(known: adni, av_digits, "):
        load_dataset("qqq")
