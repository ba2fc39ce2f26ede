"""MedFuse-like fusion (Flax NNX) with MASAM.

    python -m experiments.integrations.medfuse_like --steps 200

Trains on made-up patients, and prints the losses, which modality was dominant, and the accuracy on
other patients with and without images. 15 seconds on two CPU cores, most of them compilation.
"""

from typing import Any

import jax
import jax.numpy as jnp
import tyro
from flax import nnx

from experiments.integrations.integration import Integration, kept_without_images
from experiments.integrations.masked_losses import multi_label_loss
from experiments.integrations.medfuse_network import MedFuseLike
from experiments.integrations.patients import CONDITIONS, IMAGE_SIZE, VARIABLES, Patients
from experiments.integrations.train import Settings, main
from masam_jax import LateFusion, WeightedMean, label_by_path

# The projection of the image's features is the fusion's: no unimodal loss reaches it.
LABELS = label_by_path(
    {
        "^ehr_encoder/": "ehr",
        "^cxr_encoder/": "cxr",
        "^(ehr_head|cxr_head|projection|fusion_lstm|classifier)/": "other",
    }
)


def medfuse_like(seed: int = 0, *, width: int = 16, dropout: float = 0.2) -> Integration:
    """A `MedFuseLike`, initialised and integrated.

    Args:
      seed: of the initial parameters.
      width: of the network.
      dropout: of both encoders.
    """
    network = MedFuseLike(
        variables=VARIABLES,
        image_size=IMAGE_SIZE,
        conditions=CONDITIONS,
        width=width,
        dropout=dropout,
        rngs=nnx.Rngs(seed),
    )
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    params, statistics, rest = states

    def merged(params: Any, statistics: Any) -> MedFuseLike:
        # A copy: without it batch norm writes into the variables that it was given.
        return nnx.merge(graph, params, statistics, rest, copy=True)

    # A stream of its own for each encoder: equal streams would drop the same units in both.
    def encode_ehr(params: Any, patients: Patients, key: jax.Array, statistics: Any) -> jax.Array:
        rngs = nnx.Rngs(dropout=jax.random.fold_in(key, 0))
        encoder = merged(params, statistics).ehr_encoder
        return encoder(patients.ehr, patients.length, train=True, rngs=rngs)

    def encode_cxr(params: Any, patients: Patients, key: jax.Array, statistics: Any) -> Any:
        rngs = nnx.Rngs(dropout=jax.random.fold_in(key, 1))
        network = merged(params, statistics)
        features = network.cxr_encoder(patients.image, patients.has_image, train=True, rngs=rngs)
        new = nnx.state(network, nnx.BatchStat)
        return {"features": features, "statistics": kept_without_images(new, statistics, patients)}

    def objective(
        params: Any, features: Any, patients: Patients, key: jax.Array, statistics: Any
    ) -> tuple[WeightedMean, dict[str, WeightedMean], Any]:
        del key
        network = merged(params, statistics)
        logits = network.predict(features["ehr"], features["cxr"]["features"], patients.has_image)
        everyone = jnp.ones_like(patients.has_image)
        unimodal = {
            "ehr": multi_label_loss(logits.ehr, patients.targets, everyone),
            "cxr": multi_label_loss(logits.cxr, patients.targets, patients.has_image),
        }
        fusion = multi_label_loss(logits.fusion, patients.targets, everyone)
        return fusion, unimodal, features["cxr"]["statistics"]

    def predict(params: Any, statistics: Any, patients: Patients) -> jax.Array:
        network = merged(params, statistics)
        return network(patients.ehr, patients.length, patients.image, patients.has_image).fusion

    return Integration(
        params=params,
        statistics=statistics,
        labels=LABELS,
        loss=LateFusion({"ehr": encode_ehr, "cxr": encode_cxr}, objective),
        loss_weights={"ehr": 1.0, "cxr": 1.0},
        predict=predict,
    )


if __name__ == "__main__":
    main(medfuse_like, tyro.cli(Settings, description=__doc__))
