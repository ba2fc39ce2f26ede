"""DrFuse-like fusion (Flax Linen) with MASAM.

    python -m experiments.integrations.drfuse_like --steps 200

Trains on made-up patients, and prints the losses, which modality was dominant, and the accuracy on
other patients with and without images. 15 seconds on two CPU cores, most of them compilation.
"""

from typing import Any

import jax
import jax.numpy as jnp
import tyro

from experiments.integrations.drfuse_network import DrFuseLike, Outputs
from experiments.integrations.drfuse_terms import jensen_shannon, overlap
from experiments.integrations.integration import Integration, kept_without_images
from experiments.integrations.masked_losses import multi_label_loss
from experiments.integrations.patients import CONDITIONS, Patients, make_patients
from experiments.integrations.train import Settings, main
from masam_jax import LateFusion, WeightedMean, label_by_path

# Both encoders' features go through the shared projection: it belongs to neither.
LABELS = label_by_path(
    {
        "^ehr_encoder/": "ehr",
        "^cxr_encoder/": "cxr",
        "^(shared_projection|shared_head|ehr_head|cxr_head|attention|classifier)/": "other",
    }
)

# Weights of the model's own terms.
_SHARED_PREDICTION = 1.0
_ALIGNMENT = 1.0
_OVERLAP = 0.1


def drfuse_like(seed: int = 0, *, width: int = 16, dropout: float = 0.2) -> Integration:
    """A `DrFuseLike`, initialised and integrated.

    Args:
      seed: of the initial parameters.
      width: of the network.
      dropout: in both encoders.
    """
    network = DrFuseLike(conditions=CONDITIONS, width=width, dropout=dropout)
    variables = jax.jit(network.init)(jax.random.key(seed), *_inputs(make_patients(1)))
    params, statistics = variables["params"], variables["batch_stats"]

    # Linen folds a module's path into the key: both encoders drop units of their own.
    def encode_ehr(params: Any, patients: Patients, key: jax.Array, statistics: Any) -> Any:
        del statistics
        inputs, rngs = (patients.ehr, patients.length, True), {"dropout": key}
        return network.apply({"params": params}, *inputs, method="encode_ehr", rngs=rngs)

    def encode_cxr(params: Any, patients: Patients, key: jax.Array, statistics: Any) -> Any:
        features, new = network.apply(
            {"params": params, "batch_stats": statistics},
            patients.image,
            patients.has_image,
            True,
            method="encode_cxr",
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        kept = kept_without_images(new["batch_stats"], statistics, patients)
        return {"features": features, "statistics": kept}

    def objective(
        params: Any, features: Any, patients: Patients, key: jax.Array, statistics: Any
    ) -> tuple[jax.Array, dict[str, WeightedMean], Any]:
        del key, statistics
        inputs = (features["ehr"], features["cxr"]["features"], patients.has_image)
        outputs: Any = network.apply({"params": params}, *inputs, method="fuse")
        return *drfuse_losses(outputs, patients), features["cxr"]["statistics"]

    def predict(params: Any, statistics: Any, patients: Patients) -> jax.Array:
        variables = {"params": params, "batch_stats": statistics}
        outputs: Any = network.apply(variables, *_inputs(patients))
        return outputs.fusion

    return Integration(
        params=params,
        statistics=statistics,
        labels=LABELS,
        loss=LateFusion({"ehr": encode_ehr, "cxr": encode_cxr}, objective),
        # DrFuse's weights of the distinct representations' predictions are MASAM's λ.
        loss_weights={"ehr": 1.0, "cxr": 1.0},
        predict=predict,
    )


def drfuse_losses(
    outputs: Outputs, patients: Patients
) -> tuple[jax.Array, dict[str, WeightedMean]]:
    """The fusion loss, with all terms that concern more than one head, and the unimodal losses.

    The fusion loss is a scalar: its terms are means over different samples.
    """
    ehr, cxr, paired = outputs.ehr_parts, outputs.cxr_parts, patients.has_image
    everyone = jnp.ones_like(paired)
    fusion = multi_label_loss(outputs.fusion, patients.targets, everyone).value()
    shared = multi_label_loss(outputs.shared, patients.targets, everyone)
    fusion += _SHARED_PREDICTION * shared.value()
    fusion += _ALIGNMENT * jensen_shannon(ehr.shared, cxr.shared, paired)
    fusion += _OVERLAP * overlap(ehr.shared, ehr.distinct, everyone)
    fusion += _OVERLAP * overlap(cxr.shared, cxr.distinct, paired)
    unimodal = {
        "ehr": multi_label_loss(outputs.ehr, patients.targets, everyone),
        "cxr": multi_label_loss(outputs.cxr, patients.targets, paired),
    }
    return fusion, unimodal


def _inputs(patients: Patients) -> tuple[jax.Array, ...]:
    return patients.ehr, patients.length, patients.image, patients.has_image


if __name__ == "__main__":
    main(drfuse_like, tyro.cli(Settings, description=__doc__))
