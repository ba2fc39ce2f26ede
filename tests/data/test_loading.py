"""Every data set that the command line lists opens by the same words."""

import numpy as np
import pytest

from masam_jax.data import load_dataset
from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.synthetic import SyntheticConfig


def test_options_stand_in_the_words_or_beside_them():
    words = load_dataset("synthetic:samples=200")
    given = load_dataset("synthetic", SyntheticConfig(samples=200))
    np.testing.assert_array_equal(words.labels, given.labels)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_published_data_that_are_not_prepared_say_what_to_do(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name!r} is not prepared in .* masam datasets info"):
        load_dataset(name, data_dir=tmp_path)


def test_a_table_of_ones_own(tmp_path):
    lines = ["a_0,a_1,b_0,b_1,label"]
    lines += [f"{i},{i + 1},{-i},{i % 5},{'xy'[i % 2]}" for i in range(40)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    data = load_dataset(f"{path}:label=label")
    assert (len(data), data.modalities, data.class_names) == (40, ("a", "b"), ("x", "y"))
    path.rename(tmp_path / "there.csv")
    moved = load_dataset(f"{path}:label=label", moved=tmp_path / "there.csv")
    np.testing.assert_array_equal(moved.labels, data.labels)
