"""MASAM and its ablations as a method of the zoo; the transformation is ``masam_jax.masam``."""

import dataclasses
from typing import Literal

import optax

from masam_jax.core.masam import masam
from masam_jax.methods.method import Context, Labels, Method
from masam_jax.methods.options import format_number, require, with_weight
from masam_jax.methods.registry import register
from masam_jax.methods.search import LogUniform, Uniform


@dataclasses.dataclass(frozen=True)
class MasamOptions:
    """Options of ``masam``, as the transformation takes them.

    Attributes:
      rho: perturbation radius ρ, in units of parameters.
      alpha: weight α of learning speed against alignment in the score.
      beta: moving-average coefficient β of the unimodal losses.
      select: which encoders are perturbed: ``dominant``, ``all``, ``random`` or a modality's name.
      scale_by_alignment: scale the perturbation by γ; ``false`` is the ablation without MDPS.
      alignment: γ over the whole ``partition`` or as a mean of ``per_tensor`` cosines.
      clip_negative: clip γ at 0.
      weight: λ, the weight of every unimodal loss in the total loss.
    """

    rho: float = 0.3
    alpha: float = 0.8
    beta: float = 0.91
    select: str = "dominant"
    scale_by_alignment: bool = True
    alignment: Literal["partition", "per_tensor"] = "partition"
    clip_negative: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        infinity = float("inf")
        require(0 <= self.rho < infinity, "rho", self.rho, "a number >= 0")
        require(0 <= self.alpha <= 1, "alpha", self.alpha, "a number in [0, 1]")
        require(0 <= self.beta <= 1, "beta", self.beta, "a number in [0, 1]")
        require(0 < self.weight < infinity, "weight", self.weight, "a positive number")


def _build(
    options: MasamOptions, labels: Labels, context: Context
) -> optax.GradientTransformationExtraArgs:
    return masam(
        labels,
        rho=options.rho,
        alpha=options.alpha,
        beta=options.beta,
        select=options.select,
        scale_by_alignment=options.scale_by_alignment,
        alignment=options.alignment,
        clip_negative=options.clip_negative,
        key=context.key,
    )


def _title(options: MasamOptions) -> str:
    parts = [f"ρ={format_number(options.rho)}"]
    default = MasamOptions()
    if options.alpha != default.alpha:
        parts.append(f"α={format_number(options.alpha)}")
    if options.beta != default.beta:
        parts.append(f"β={format_number(options.beta)}")
    if options.select != default.select:
        parts.append(f"select={options.select}")
    if not options.scale_by_alignment:
        parts.append("γ:=1")
    if options.alignment != default.alignment:
        parts.append("γ per tensor")
    if options.clip_negative:
        parts.append("γ≥0")
    return with_weight("MASAM " + ", ".join(parts), options.weight)


MASAM = register(
    Method(
        name="masam",
        summary="modality-aware SAM: perturbs the dominant encoder alone",
        options=MasamOptions,
        build=_build,
        title=_title,
        loss_weight=lambda options: options.weight,
        search={
            "rho": LogUniform(0.1, 200),
            "alpha": Uniform(0, 1),
            "beta": Uniform(0.5, 0.99),
            "weight": LogUniform(0.1, 10),
        },
        # A modality fixed beforehand, or all of them, leave nothing to decide on the host.
        host_dispatch=lambda options: options.select in ("dominant", "random"),
    )
)
