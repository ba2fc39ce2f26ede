"""Imported encoders are trained by MASAM like any other: statistics of the batch, and dropout."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from safetensors.numpy import save_file

from masam_jax import LateFusion, masam, masam_metrics, multimodal_value_and_grad
from masam_jax.models import (
    LateFusionNetwork,
    ResNet,
    TextTransformer,
    cross_entropy_objective,
)
from masam_jax.models.weights import load_bert_weights, load_resnet_weights
from tests.models.torch_outputs.numpy_bert import CONFIG, bert_weights, texts
from tests.models.torch_outputs.numpy_weights import images, resnet_weights

SHALLOW = CONFIG | {"num_hidden_layers": 1}
LABELS = jnp.asarray([0, 1, 2, 1], jnp.int32)


def _network():
    text = partial(
        TextTransformer,
        SHALLOW["vocab_size"],
        SHALLOW["hidden_size"],
        SHALLOW["num_hidden_layers"],
        SHALLOW["num_attention_heads"],
        SHALLOW["max_position_embeddings"],
        dropout=0.1,
        feed_forward=SHALLOW["intermediate_size"],
    )
    image = partial(ResNet, 18, base_channels=4)
    sizes = {"image": 32, "text": SHALLOW["hidden_size"]}
    return LateFusionNetwork({"image": image, "text": text}, sizes, 3)


def _imported(network, folder):
    """Parameters and statistics, the encoders' read from files, the heads random."""
    save_file(resnet_weights(18, base=4), folder / "resnet.safetensors")
    save_file(bert_weights(SHALLOW), folder / "bert.safetensors")
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    statistics = jax.eval_shape(network.init_statistics)
    image, running = load_resnet_weights(
        folder / "resnet.safetensors", shapes["encoders"]["image"], statistics["image"]
    )
    text = load_bert_weights(folder / "bert.safetensors", shapes["encoders"]["text"])
    heads = {part: shapes[part] for part in ("fusion", "heads")}
    rng = np.random.default_rng(0)
    heads = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape) / 9, x.dtype), heads)
    return {"encoders": {"image": image, "text": text}, **heads}, {"image": running}


def test_a_jitted_masam_step_changes_every_imported_value(tmp_path):
    network = _network()
    params, statistics = _imported(network, tmp_path)
    tokens, mask = texts()
    batch = {
        "image": jnp.concatenate([images()[:, ::4, ::4], images()[:, 1::4, ::4]]),
        "text": {"tokens": jnp.asarray(tokens), "mask": jnp.asarray(mask)},
    }
    tx = optax.chain(masam(network.labels, rho=0.3), optax.sgd(0.03))

    @jax.jit
    def step(params, opt_state, key):
        encoders = {
            m: lambda p, m=m: network.encode_training(p, m, batch[m], statistics, key)[0]
            for m in network.modalities
        }

        def objective(p, features):
            return cross_entropy_objective(
                network.fuse(p, features), network.unimodal(p, features), LABELS
            )

        losses, grads, signals = multimodal_value_and_grad(LateFusion(encoders, objective))(params)
        updates, opt_state = tx.update(grads, opt_state, params, **signals)
        return optax.apply_updates(params, updates), opt_state, losses.total

    trained, opt_state, first = step(params, tx.init(params), jax.random.key(0))
    for path, new in jax.tree.leaves_with_path(trained["encoders"]):
        old = params
        for key in ("encoders", *(entry.key for entry in path)):
            old = old[key]
        where = jax.tree_util.keystr(path)
        assert np.isfinite(new).all(), where
        # A constant added to all keys changes no softmax.
        assert np.abs(new - old).max() > 0 or "['key']['bias']" in where, where
    assert masam_metrics(opt_state)["dominant"] in network.modalities
    # The same dropout again: what the step changed is all that differs.
    *_, second = step(trained, opt_state, jax.random.key(0))
    assert second < 0.9 * first
