"""``--network package.module:function``: a network of one's own, in any library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.cli import command_line as cli
from masam_jax.config import ModelConfig
from masam_jax.data import Modality
from masam_jax.methods import method_names, parse_method
from masam_jax.models import LateFusionNetwork, PureEncoder, PureFusion
from masam_jax.predict import load_predictor
from masam_jax.training.own_network import own_network

SPECS = {"a": Modality("vector", (5,)), "b": Modality("vector", (3,))}
SMALL = [
    *("--dataset", "synthetic:samples=200", "--train-size", "24", "--validation-size", "20"),
    *("--test-size", "20", "--batch-size", "12", "--steps", "4", "--seeds", "2"),
    *("--log-every", "2", "--evaluate-every", "2", "--checkpoint-every", "2", "--no-plots"),
]


@pytest.mark.parametrize("library", ["nnx", "linen", "equinox"])
def test_the_worked_networks_train_resume_and_predict(tmp_path, library, capsys):
    network = f"experiments.networks.{library}_network:make_network"
    words = ["compare", "--methods", "late_fusion", "masam:rho=1", "--network", network, *SMALL]
    path = tmp_path / "run"
    assert cli.main([*words, "--output", str(path)]) == 0
    assert cli.main(["evaluate", str(path / "methods" / "late_fusion")]) == 0
    metrics = (path / "methods" / "masam_rho-1" / "metrics.jsonl").read_text()
    assert '"dominant' in metrics
    predictor = load_predictor(path, method="masam:rho=1")
    inputs = {m: np.ones((3, *spec.shape), np.float32) for m, spec in predictor.modalities.items()}
    assert np.isfinite(predictor(inputs).by_seed).all()
    assert capsys.readouterr().err == ""


def _linear(rows, columns=4):
    return PureEncoder(
        init=lambda key: [jax.random.normal(key, (rows, columns))],
        apply=lambda params, x: jnp.tanh(x @ params[0]),
    )


FUSION = PureFusion(
    init=lambda key: [jax.random.normal(key, (4, 3))],
    apply=lambda params, features: (features["a"] * 2 + features["b"]) @ params[0],
)


def make(specs, num_classes):
    encoders = {m: _linear(spec.shape[0]) for m, spec in specs.items()}
    return LateFusionNetwork(encoders, dict.fromkeys(specs, 4), num_classes, fusion=FUSION)


def _own(place, multi_label=False, fusion="concat", **config):
    place = f"{__name__}:{place}"
    return own_network(SPECS, 3, multi_label, ModelConfig(network=place, **config), fusion)


def test_pure_functions_are_what_is_computed():
    network = _own("make")
    params = network.init(jax.random.key(1))
    x = {"a": np.full((2, 5), 0.1, np.float32), "b": np.full((2, 3), 0.2, np.float32)}
    features = {m: np.tanh(x[m] @ np.asarray(params["encoders"][m][0], np.float64)) for m in x}
    head = np.asarray(params["fusion"][0], np.float64)
    logits, _ = network.apply(params, x)
    expected = (features["a"] * 2 + features["b"]) @ head
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    alone = network.modality_logits(params, {m: jnp.asarray(f) for m, f in features.items()})
    np.testing.assert_allclose(alone["b"], features["b"] @ head, rtol=1e-5, atol=1e-5)
    assert network.labels(params)["encoders"] == {"a": ["a"], "b": ["b"]}


def wrong_type(specs, num_classes):
    return None


def wrong_classes(specs, num_classes):
    return make(specs, num_classes + 1)


def wrong_size(specs, num_classes):
    encoders = {m: _linear(spec.shape[0]) for m, spec in specs.items()}
    return LateFusionNetwork(encoders, dict.fromkeys(specs, 5), num_classes)


def wrong_logits(specs, num_classes):
    encoders = {m: _linear(spec.shape[0]) for m, spec in specs.items()}
    fusion = FUSION._replace(apply=lambda params, features: features["a"])
    return LateFusionNetwork(encoders, dict.fromkeys(specs, 4), num_classes, fusion=fusion)


def failing(specs, num_classes):
    raise KeyError("video")


@pytest.mark.parametrize(
    "place, message",
    [
        ("wrong_type", "returned a NoneType; a masam_jax.models.LateFusionNetwork is needed"),
        ("wrong_classes", "modalities a, b and 4 classes; the data have a, b and 3 classes"),
        ("wrong_size", r"encoder of 'a' makes features \[2, 4\] of two samples; \[2, 5\] was decl"),
        ("wrong_logits", r"fusion head makes logits \[2, 4\] of two samples; \[2, 3\] are needed"),
        ("failing", r"failing failed: KeyError: 'video' \(.*test_own_network\.py, line \d+\)"),
        ("absent", "has no function 'absent'"),
    ],
)
def test_a_network_that_does_not_fit(place, message):
    with pytest.raises(ValueError, match=message):
        _own(place)


def test_settings_that_mean_nothing_with_it():
    with pytest.raises(ValueError, match=r"width=8 has no meaning with network=.*; leave it out"):
        _own("make", width=8)
    with pytest.raises(ValueError, match=r"several labels a sample, and .* no parameter multi_lab"):
        _own("make", multi_label=True)


def test_a_place_that_is_none(capsys, tmp_path):
    words = ["train", *SMALL, "--output", str(tmp_path / "run"), "--network"]
    assert cli.main([*words, "nowhere"]) == 2
    assert "'nowhere' is not of the form package.module:function" in capsys.readouterr().err
    assert cli.main([*words, "no.such_module:make"]) == 2
    assert "there is no module 'no', here or installed" in capsys.readouterr().err


@pytest.mark.parametrize("method", [name for name in method_names() if name != "late_fusion"])
def test_every_method_takes_it_or_says_why(method, tmp_path, capsys):
    words = ["train", "--method", method, *SMALL, "--network", f"{__name__}:make_for_synthetic"]
    code = cli.main([*words, "--output", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert code == 0 or (code == 2 and "has a fusion head of its own" in said), said
    assert (code == 2) == (parse_method(method).fusion is not None), said


def make_for_synthetic(specs, num_classes):
    encoders = {m: _linear(spec.shape[0]) for m, spec in specs.items()}
    fusion = PureFusion(
        init=lambda key: [jax.random.normal(key, (4, num_classes))],
        apply=lambda params, features: sum(features[m] for m in sorted(features)) @ params[0],
    )
    return LateFusionNetwork(encoders, dict.fromkeys(specs, 4), num_classes, fusion=fusion)
