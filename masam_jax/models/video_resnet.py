"""A ResNet over the frames of a clip."""

from __future__ import annotations

import jax

from masam_jax.models.resnet import ResNet


class VideoResNet(ResNet):
    """One ResNet for every frame, then the mean over time: ``[B, T, H, W, C]`` to ``[B, F]``.

    Arguments, parameters and statistics are those of `ResNet`, so weights for one fit the other.
    A batch normalisation sees the B * T frames as one batch. The mean weighs every frame alike:
    clips are expected to have T frames each, repeated or sampled by the data's pipeline.

    Source: the visual encoder of Peng et al., "Balanced multimodal learning via on-the-fly gradient
    modulation", CVPR 2022, section 4.1, and of the methods that compare with it on CREMA-D and
    Kinetics-Sounds.
    """

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Frames ``[B, T, H, W, C]`` to features ``[B, F]``.

        Raises:
          ValueError: the frames have another number of axes or channels, or T is 0.
        """
        if inputs.ndim != 5 or not inputs.shape[1]:
            raise ValueError(
                f"the inputs have shape {inputs.shape}; frames [B, T, H, W, C] with T >= 1 "
                "are needed."
            )
        batch, time = inputs.shape[:2]
        features = super().__call__(inputs.reshape(batch * time, *inputs.shape[2:]))
        return features.reshape(batch, time, -1).mean(axis=1)
