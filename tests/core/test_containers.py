"""Parameters in any container that JAX code keeps them in train as the plain dictionary does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import equinox
import flax.core
import jax
import pytest
from flax import nnx

from masam_jax import label_by_path, masam, sam
from masam_jax.core.partition import resolve_partition
from tests.contract.contract import (
    assert_same,
    loss_fn,
    make_step,
    parameters,
    subject,
    train,
    with_base,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Network:
    audio: Layer
    text: Layer
    fusion: dict[str, Any]
    heads: dict[str, Any]


class EquinoxNetwork(equinox.Module):
    audio: dict[str, Any]
    text: dict[str, Any]
    fusion: dict[str, Any]
    heads: dict[str, Any]
    name: str = equinox.field(static=True)


class NnxNetwork(nnx.Module):
    def __init__(self, params: Any) -> None:
        for m, encoder in params["encoders"].items():
            setattr(self, m, nnx.Dict({name: nnx.Param(x) for name, x in encoder.items()}))
        for group in ("fusion", "heads"):
            setattr(self, group, nnx.Dict({m: nnx.Param(x) for m, x in params[group].items()}))


class Container(NamedTuple):
    """How to fill a container with the dictionary's parameters, how to read it, what is whose."""

    fill: Callable[[Any], Any]
    read: Callable[[Any], Any]
    audio: str = "audio/"
    text: str = "text/"


def _read_attributes(network: Any) -> Any:
    encoders = {"audio": network.audio, "text": network.text}
    return {"encoders": encoders, "fusion": network.fusion, "heads": network.heads}


def _read_nnx(state: Any) -> Any:
    tree = nnx.to_pure_dict(state)
    encoders = {"audio": tree["audio"], "text": tree["text"]}
    return {"encoders": encoders, "fusion": tree["fusion"], "heads": tree["heads"]}


def _read_dataclass(network: Network) -> Any:
    layers = {"audio": network.audio, "text": network.text}
    encoders = {m: {"w": layer.w, "b": layer.b} for m, layer in layers.items()}
    return {"encoders": encoders, "fusion": network.fusion, "heads": network.heads}


def _as_tuples(params: Any) -> Any:
    encoders, fusion, heads = params["encoders"], params["fusion"], params["heads"]
    return (
        tuple((encoders[m]["w"], encoders[m]["b"]) for m in ("text", "audio")),
        [tuple((fusion[m], heads[m]) for m in ("text", "audio"))],
    )


def _read_tuples(tree: Any) -> Any:
    (text, audio), [(text_heads, audio_heads)] = tree
    return {
        "encoders": {
            m: dict(zip("wb", x, strict=True)) for m, x in [("audio", audio), ("text", text)]
        },
        "fusion": {"audio": audio_heads[0], "text": text_heads[0]},
        "heads": {"audio": audio_heads[1], "text": text_heads[1]},
    }


CONTAINERS = {
    "dict": Container(
        lambda params: params, lambda params: params, "encoders/audio", "encoders/text"
    ),
    "frozen_dict": Container(
        flax.core.freeze, flax.core.unfreeze, "^encoders/audio/", "^encoders/text/"
    ),
    "nnx_state": Container(
        lambda params: nnx.state(NnxNetwork(params), nnx.Param), _read_nnx, "^audio/", "^text/"
    ),
    "equinox": Container(
        lambda params: EquinoxNetwork(
            **params["encoders"], fusion=params["fusion"], heads=params["heads"], name="net"
        ),
        _read_attributes,
        "^audio/",
        "^text/",
    ),
    "tuples": Container(_as_tuples, _read_tuples, "^0/1/", "^0/0/"),
    "dataclass": Container(
        lambda params: Network(
            **{m: Layer(**encoder) for m, encoder in params["encoders"].items()},
            fusion=params["fusion"],
            heads=params["heads"],
        ),
        _read_dataclass,
        "^audio/",
        "^text/",
    ),
}


FACTORIES = {
    "masam": lambda labels: masam(labels, rho=0.5),
    "sam": lambda labels: sam(rho=0.5),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("method", FACTORIES)
def test_every_container_trains_alike(method: str, name: str) -> None:
    container = CONTAINERS[name]
    params = container.fill(parameters())
    rules = {container.audio: "audio", container.text: "text", "": "other"}
    tx = with_base(FACTORIES[method](label_by_path(rules)))

    def loss(tree: Any, *batch: Any) -> Any:
        return loss_fn(container.read(tree), *batch)

    run = train(tx, params, step=jax.jit(make_step(tx, loss=loss, read=container.read)))
    chex.assert_trees_all_equal_structs(run.params, params)
    want = subject(FACTORIES[method]).run
    assert_same(container.read(run.params), want.params)
    assert_same(run.state[0], want.state[0])


@pytest.mark.parametrize("name", CONTAINERS)
def test_labels_of_the_container_s_own_kind(name: str) -> None:
    """A tree of labels in the same container says what the path patterns say."""
    container = CONTAINERS[name]
    params = container.fill(parameters())
    by_path = label_by_path({container.audio: "audio", container.text: "text", "": "other"})
    tree = by_path(params)
    chex.assert_trees_all_equal_structs(tree, params)
    partitions = {resolve_partition(labels, params, "other") for labels in (tree, by_path)}
    (partition,) = partitions
    assert partition.modalities == ("audio", "text")
    assert [partition.leaf_labels.count(label) for label in ("audio", "text", "other")] == [2, 2, 4]
