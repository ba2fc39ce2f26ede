"""Configurations check themselves."""

import json

import pytest

from masam_jax.config import (
    DataConfig,
    DistributionConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
    as_json,
    changed_fields,
    completed,
    experiment_from_json,
)


@pytest.mark.parametrize(
    "kind, options",
    [
        (DataConfig, {"train_size": 0}),
        (DataConfig, {"validation_size": 0}),
        (DataConfig, {"split_seed": -1}),
        (ModelConfig, {"width": 0}),
        (ModelConfig, {"depth": -1}),
        (OptimizationConfig, {"steps": 0}),
        (OptimizationConfig, {"batch_size": 0}),
        (OptimizationConfig, {"learning_rate": float("nan")}),
        (OptimizationConfig, {"weight_decay": -1e-4}),
        (SeedConfig, {"seeds": 0}),
        (SeedConfig, {"seed_offset": -1}),
        (EvaluationConfig, {"log_every": 0}),
        (EvaluationConfig, {"patience": 0}),
        (DistributionConfig, {"num_processes": 0}),
        (DistributionConfig, {"process_id": 1}),
    ],
)
def test_values_out_of_range(kind, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}={options[name]} is out of range"):
        kind(**options)


@pytest.mark.parametrize("address", ["nowhere", ":80", "host:", "host:http"])
def test_a_coordinator_has_a_host_and_a_port(address):
    with pytest.raises(ValueError, match=f"coordinator_address='{address}' is not host:port"):
        DistributionConfig(coordinator_address=address, num_processes=2)


def test_processes_need_a_coordinator():
    with pytest.raises(ValueError, match="--coordinator-address"):
        DistributionConfig(num_processes=2)


def test_seeds_start_at_the_offset():
    assert SeedConfig(3, 100).values == (100, 101, 102)


def test_json_round_trip():
    experiment = Experiment(data=DataConfig(train_size=None), seeds=SeedConfig(3, 5))
    assert experiment_from_json(as_json(experiment)) == experiment


def test_json_of_something_else_is_refused():
    content = as_json(Experiment())
    del content["model"]["width"]
    experiment_from_json(content)
    content["model"]["colour"] = "red"
    with pytest.raises(ValueError, match="colour"):
        experiment_from_json(content)
    with pytest.raises(ValueError, match="data"):
        experiment_from_json({})


def test_changed_fields():
    old = {"a": 1, "b": {"c": [1], "d": 2}}
    new = {"a": 1, "b": {"c": [2], "e": 3}}
    assert changed_fields(old, new) == ["b.c: [1] -> [2]", "b.d: 2 -> None", "b.e: None -> 3"]
    assert changed_fields(old, old) == []


# Of the format "masam_jax run 2" from the start. A field that comes later is one of _YOUNGER, with
# what was done before it, so that runs of earlier versions go on; where that cannot be said, the
# format is another.
_FIRST_FIELDS = {
    "data": "dataset train_size validation_size test_size split_seed augment",
    "corruption": "label_noise label_noise_kind label_fraction missing missing_in missing_at_test"
    " input_noise input_noise_in corruption_seed",
    "model": "width depth encoders weights architecture dropout dtype fusion",
    "optimization": "steps epochs batch_size learning_rate weight_decay",
    "seeds": "seeds seed_offset",
    "evaluation": "log_every evaluate_every checkpoint_every patience report report_split",
}


def test_a_run_of_an_earlier_version_is_completed():
    written = json.loads(json.dumps(as_json(Experiment())))
    older = {
        section: {name: written[section][name] for name in names.split()}
        for section, names in _FIRST_FIELDS.items()
    }
    older = {"kind": "train", "method": "masam", **older}
    assert changed_fields(completed(older), {"kind": "train", "method": "masam", **written}) == []
    assert experiment_from_json(older) == Experiment()
    assert older["evaluation"].get("min_epochs") is None


def test_what_a_run_says_is_not_replaced():
    written = {"model": {"network": "a.b:c", "remat": True}, "data": {"modalities": ["a"]}}
    assert completed(written) == written
    assert completed({"evaluation": {"min_epochs": 4}})["evaluation"]["min_epochs"] == 4
    assert completed({"evaluation": 3}) == {"evaluation": 3}
    assert completed({"kind": "removed"}) == {"kind": "removed"}
