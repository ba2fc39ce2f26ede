"""Records what timm's ResNets answer, for a comparison that needs no PyTorch.

With torch, timm and NumPy installed, from the root of the repository::

    python -m tests.models.torch_outputs.record_resnet

It writes `resnet.npz` beside itself: for ResNet-18, -34 and -50 with the weights and the images of
`numpy_weights.py`, the features (every eighth of ResNet-50's) in eval mode, which takes the running
statistics, and in train mode, which takes the batch's; and the versions that made them. The case of
one channel has timm's own conversion of the same weights.
"""

from pathlib import Path

import numpy as np

from tests.models.torch_outputs.numpy_weights import images, resnet_weights


def main():
    import timm
    import torch
    from timm.models import adapt_input_conv

    torch.use_deterministic_algorithms(True)
    inputs = torch.from_numpy(images().transpose(0, 3, 1, 2).copy()).double()
    outputs = {"versions": f"torch {torch.__version__}, timm {timm.__version__}"}
    for depth, channels in ((18, 3), (18, 1), (34, 3), (50, 3)):
        tensors = {name: torch.from_numpy(value) for name, value in resnet_weights(depth).items()}
        stem = adapt_input_conv(channels, tensors["conv1.weight"])
        for mode in ("eval", "train"):
            network = timm.create_model(
                f"resnet{depth}", pretrained=False, num_classes=0, in_chans=channels
            )
            network.load_state_dict(tensors | {"conv1.weight": stem}, strict=True)
            network.double().train(mode == "train")
            with torch.no_grad():
                features = network(inputs[:, :channels]).float().numpy()
            outputs[f"resnet{depth}_{channels}_{mode}"] = features[:, :: 8 if depth == 50 else 1]
    np.savez_compressed(Path(__file__).with_name("resnet.npz"), **outputs)


if __name__ == "__main__":
    main()
