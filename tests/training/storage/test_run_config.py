"""Configurations that were damaged are told with their file."""

import pytest

from masam_jax.config import Experiment, as_json
from masam_jax.config.errors import RunError
from masam_jax.training.storage.run_config import check_config, check_specs

_TRAIN = {"kind": "train", "method": "masam:rho=1", **as_json(Experiment())}
_COMPARE = {**_TRAIN, "kind": "compare", "methods": ["sam", "masam"]}


def test_what_a_run_is(tmp_path):
    found = check_config(tmp_path, _TRAIN)
    assert [method.spec for method in found.methods] == ["masam:rho=1"]
    assert (found.is_comparison, found.experiment) == (False, Experiment())
    found = check_config(tmp_path, _COMPARE)
    assert [method.spec for method in found.methods] == ["sam", "masam"]
    assert found.is_comparison


@pytest.mark.parametrize(
    "config, reason",
    [
        ({**_TRAIN, "kind": "trayn"}, "kind is 'trayn'"),
        ({name: x for name, x in _TRAIN.items() if name != "method"}, "method is None"),
        ({**_COMPARE, "methods": 7}, "methods is 7"),
        ({**_COMPARE, "methods": ["sam", 7]}, "methods is"),
        ({**_TRAIN, "method": "masan"}, "unknown method 'masan'"),
        ({**_TRAIN, "seeds": {"seeds": 3, "seed_offsed": 0}}, "'seed_offsed'"),
        ({**_TRAIN, "model": None}, "config.json is damaged"),
    ],
)
def test_a_damaged_one_is_told_with_its_file(tmp_path, config, reason):
    with pytest.raises(RunError) as error:
        check_config(tmp_path / "mine", config)
    assert f"{tmp_path / 'mine'}/config.json is damaged: " in str(error.value)
    assert reason in str(error.value)


def test_methods_of_others_need_not_be_here_to_be_listed(tmp_path):
    assert check_specs(tmp_path, {**_COMPARE, "methods": ["theirs"]}) == (True, ["theirs"])
