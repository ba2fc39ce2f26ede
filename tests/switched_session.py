"""A user's session in one process, to be run under jax's global switches.

``python -m tests.switched_session DIRECTORY [PART ...]``: the README's step in an optax chain, then
the command line on small data. A run with convolutions, which choose on the host, dropout, batch
normalisation, noise and missing modalities trains and predicts; a comparison of methods that draw
at random, and that train on trial, is interrupted and goes on.
"""

import doctest
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from masam_jax.cli import command_line
from masam_jax.data import Modality, MultimodalData, shipped
from masam_jax.predict import load_predictor
from masam_jax.training.interrupt import InterruptRequest

README = Path(__file__).parents[1] / "README.md"
ROWS = 60
SMALL = (
    *("--train-size", "16", "--validation-size", "12", "--test-size", "12", "--batch-size", "8"),
    *("--steps", "3", "--width", "4", "--log-every", "1", "--evaluate-every", "2", "--no-plots"),
)
COMPARED = ("ogm_ge", "g_blend")


def main(directory: str, *parts: str) -> None:
    """All parts, or those named; ends with an exception where anything fails."""
    for part in (readme, pictures, comparison):
        if not parts or part.__name__ in parts:
            part(Path(directory) / part.__name__)


def readme(path: Path) -> None:
    """Transfers belong to the user's own ``jnp.ones(3)`` there, but not to the compiled step."""
    del path
    section = README.read_text().partition("## In your own optax chain")[2].partition("\n## ")[0]
    names: dict[str, Any] = {}
    with jax.transfer_guard("allow"):
        for example in doctest.DocTestParser().get_examples(section):
            exec(compile(example.source, "README.md", "single"), names)
    state, found = (names["params"], names["opt_state"]), names["masam_metrics"]
    params, opt_state, losses = names["step"](*state, names["batch"])
    assert np.isfinite(jax.device_get(losses.total))
    assert found(opt_state)["dominant"] == "video"
    assert set(params) == {"audio", "video", "head"}


def pictures(path: Path) -> None:
    shipped.SHIPPED["pictures"] = shipped.Shipped(
        "Pictures", "and vectors", shipped.SHIPPED["mfeat"].options, sys, lambda options: _data()
    )
    words = (
        *("train", "--dataset", "pictures", "--method", "masam:rho=1", "--seeds", "1", *SMALL),
        *("--encoders", "vector=ffn", "--dropout", "0.3", "--input-noise", "10"),
        *("--input-noise-in", "all", "--missing", "0.3"),
        *("--output", str(path)),
    )
    assert _masam(*words) == 0
    assert _masam("evaluate", str(path), "--predictions", str(path / "predictions.csv")) == 0
    features = {m: x[:3] for m, x in _data().features.items()}
    prediction = load_predictor(path)(features | {"vector": None})
    assert np.isfinite(prediction.probabilities).all()


def comparison(path: Path) -> None:
    data = ("--dataset", "synthetic:samples=80,dominance=2/1,num_classes=3", "--seeds", "2")
    words = ("compare", "--methods", *COMPARED, *data, *SMALL, "--output", str(path))
    with mock.patch.object(command_line, "InterruptRequest", _AfterTwoSteps):
        assert _masam(*words) == 130
    assert _masam(*words, "--resume") == 0


def _data() -> MultimodalData:
    rng = np.random.default_rng(0)
    specs = {"image": Modality("image", (8, 8, 1), np.uint8), "vector": Modality("vector", (4,))}
    features = {
        "image": rng.integers(0, 255, (ROWS, 8, 8, 1)).astype(np.uint8),
        "vector": rng.normal(size=(ROWS, 4)).astype(np.float32),
    }
    labels = np.arange(ROWS, dtype=np.int32) % 3
    return MultimodalData("pictures", features, labels, 3, specs=specs)


class _AfterTwoSteps(InterruptRequest):
    """Asked once before the run, and after every step."""

    _asked = 0

    @property
    def signal_number(self) -> int | None:
        self._asked += 1
        return signal.SIGINT if self._asked > 2 else None

    @signal_number.setter
    def signal_number(self, number: int | None) -> None:
        """Nothing came yet."""


def _masam(*words: str) -> int:
    return command_line.main(list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
