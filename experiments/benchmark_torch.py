"""The published pair of ResNet-18 in PyTorch: late fusion, and MASAM as its authors take a step.

PyTorch is no dependency of this package: without it there is nothing here to measure, and
``make bench`` says so. The authors' step is written after their release, with the flags of its
README (models/sam_decomp_closure.py of Orange2107/MASAM-Multimodal-Adaptive-SAM on GitHub; read,
not copied): one forward and four backward passes, of the fusion loss, each modality's and their
total; every encoder perturbed, tensor by tensor; forward and backward of the total loss there; and
the base optimizer.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

TORCH = "PyTorch, late fusion"
AUTHORS = "PyTorch, MASAM as its authors"
_RHO = 0.3
# Of running statistics; 0 while the perturbed point is looked at.
_MOMENTUM = 0.1


def has_torch() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def make_torch_steps(
    batch: tuple[dict[str, Any], Any], channels: int, classes: int
) -> dict[str, Callable[[Any, Any], tuple[Any, Any]]]:
    """A step for each of the two names, on as many threads as there are processors.

    Args:
      batch: inputs ``{"audio": [B, H, W, 1], "video": [B, H, W, 3]}`` and targets ``[B]``.
      channels: of the encoders' first stage.
      classes: C.

    Returns:
      The steps, ``(params, opt_state) -> (params, opt_state)``, which keep both to themselves.
      Empty without PyTorch.
    """
    if not has_torch():
        return {}
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    inputs = {
        m: torch.from_numpy(np.moveaxis(np.asarray(x), -1, 1).copy()) for m, x in batch[0].items()
    }
    targets = torch.from_numpy(np.array(batch[1])).long()
    steps: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {}
    for name, step_of in ((TORCH, _late_fusion_step), (AUTHORS, _authors_step)):
        torch.manual_seed(0)
        network = _pair(channels, classes)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-4)
        advance = step_of(network, optimizer, functools.partial(_losses, network, inputs, targets))
        steps[name] = _without_state(advance)
    return steps


def _without_state(advance: Callable[[], None]) -> Callable[[Any, Any], tuple[Any, Any]]:
    def step(params: Any, opt_state: Any) -> tuple[Any, Any]:
        advance()
        return params, opt_state

    return step


def _late_fusion_step(network: Any, optimizer: Any, losses: Any) -> Callable[[], None]:
    def step() -> None:
        optimizer.zero_grad()
        sum(losses().values()).backward()
        optimizer.step()

    return step


def _authors_step(network: Any, optimizer: Any, losses: Any) -> Callable[[], None]:
    import torch

    encoders = {m: list(network[m].parameters()) for m in ("audio", "video")}
    rest = [p for name, part in network.items() if name not in encoders for p in part.parameters()]
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]

    def gradients(loss: Any, modalities: Any) -> dict[str, list[Any]]:
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        return {m: [p.grad.clone() for p in encoders[m]] for m in modalities}

    def step() -> None:
        clean = losses()
        fusion = gradients(clean["fusion"], encoders)
        unimodal = {m: gradients(clean[m], [m])[m] for m in encoders}
        optimizer.zero_grad()
        sum(clean.values()).backward()
        with torch.no_grad():
            of_rest = [p.grad.clone() for p in rest]
            points = {m: [p.clone() for p in each] for m, each in encoders.items()}
            for m, each in encoders.items():
                _perturb(each, unimodal[m], fusion[m])
        for norm in norms:
            norm.momentum = 0.0
        optimizer.zero_grad()
        sum(losses().values()).backward()
        for norm in norms:
            norm.momentum = _MOMENTUM
        with torch.no_grad():
            for m, each in encoders.items():
                for p, point in zip(each, points[m], strict=True):
                    p.copy_(point)
            for p, gradient in zip(rest, of_rest, strict=True):
                p.grad.copy_(gradient)
        optimizer.step()

    return step


def _perturb(parameters: list[Any], unimodal: list[Any], fusion: list[Any]) -> None:
    """By each tensor's component along the fusion gradient, scaled by the last one's cosine."""
    import torch

    along, cosine = [], 0.0
    for own, shared in zip(unimodal, fusion, strict=True):
        product = torch.dot(own.view(-1), shared.view(-1))
        norms = own.norm() * shared.norm()
        cosine = (product / norms).item()
        along.append(shared if product < 0 else product / shared.norm() ** 2 * shared)
    scale = _RHO / (torch.stack([each.norm() for each in along]).norm() + 1e-12)
    for p, direction in zip(parameters, along, strict=True):
        p.add_(direction * scale * (cosine if cosine > 0 else 1.0))


def _losses(network: Any, inputs: dict[str, Any], targets: Any) -> dict[str, Any]:
    import torch

    features = {m: network[m](x) for m, x in inputs.items()}
    logits = {m: network[f"{m}_head"](f) for m, f in features.items()}
    logits["fusion"] = network["fusion"](torch.cat(list(features.values()), dim=1))
    return {m: torch.nn.functional.cross_entropy(z, targets) for m, z in logits.items()}


def _pair(channels: int, classes: int) -> Any:
    from torch import nn

    parts: dict[str, Any] = {"audio": _resnet18(1, channels), "video": _resnet18(3, channels)}
    parts |= {f"{m}_head": nn.Linear(8 * channels, classes) for m in ("audio", "video")}
    return nn.ModuleDict(parts | {"fusion": nn.Linear(16 * channels, classes)})


def _resnet18(in_channels: int, channels: int) -> Any:
    """As torchvision has it, without its last layer."""
    from torch import nn

    def conv(inputs: int, outputs: int, size: int, stride: int) -> list[Any]:
        layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return [layer, nn.BatchNorm2d(outputs, momentum=_MOMENTUM)]

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            first, second = conv(inputs, outputs, 3, stride), conv(outputs, outputs, 3, 1)
            self.branch = nn.Sequential(*first, nn.ReLU(inplace=True), *second)
            moves = stride != 1 or inputs != outputs
            self.shortcut = nn.Sequential(*(conv(inputs, outputs, 1, stride) if moves else []))

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.branch(x) + self.shortcut(x), inplace=True)

    layers = [*conv(in_channels, channels, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = channels
    for stage in range(4):
        outputs = channels * 2**stage
        layers += [Block(inputs, outputs, 2 if stage else 1), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
