"""MASAM and its ablations as a method of the zoo; the transformation is ``masam_jax.masam``."""

import dataclasses
from typing import Literal

from masam_jax.core.choice import BY_SCORE, CHOOSING
from masam_jax.core.masam import masam
from masam_jax.core.refresh import Refresh, refresh_cycle
from masam_jax.core.specs import Options, format_number, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.held_out_choice import HeldOutObjective, HeldOutSchedule
from masam_jax.methods.method import Context, GradientKind, Method
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE, Objective
from masam_jax.methods.registry import register
from masam_jax.methods.schedule import Schedule
from masam_jax.methods.search import LogUniform, Search, Uniform

_ALIGNMENT_TITLES = {"per_tensor": "γ per tensor", "features": "γ of features"}

_RADII = {"relative": "relative", "filter": "by filters"}

# Relative to the norm of the parameters, a radius of 1 replaces them; to those of F filters, √F.
_RHO = {
    "absolute": LogUniform(0.1, 200),
    "relative": LogUniform(0.003, 1),
    "filter": LogUniform(0.03, 30),
}


def fit_title(exponent: float | None) -> str:
    """How a title says ``fit_exponent``."""
    return f"e^(-{format_number(exponent)} L)" if exponent else "whatever the fit"


@dataclasses.dataclass(frozen=True)
class MasamOptions(Options):
    """Options of ``masam``, as the transformation takes them.

    Attributes:
      rho: perturbation radius ρ, in units of parameters or relative to their norm.
      alpha: weight α of learning speed against alignment in the score.
      beta: moving-average coefficient β of the unimodal losses.
      select: which encoders are perturbed: ``dominant``, ``weakest`` (the lowest score),
        ``lowest_loss`` or ``highest_loss`` (of the batch), ``held_out`` (the lowest loss of
        training samples kept for it, before the epoch), ``random`` or a modality's name; ``all`` of
        them, or all by ``soft`` weights.
      scale_by_alignment: scale the perturbation by γ; ``false`` is the ablation without MDPS.
      alignment: γ over the whole ``partition``, as a mean of ``per_tensor`` cosines, or of the
        gradients at the ``features``, which need no pullback through the encoders.
      alignment_part: take γ from one sample in so many of the batch.
      clip_negative: clip γ at 0.
      decay: the learning speed in the score: ``absolute``, ``relative`` to the loss, or with both
        terms of the score ``standardized`` to one size.
      score_smoothing: κ, how much of the last smoothed score stays in the one that is chosen by.
      hysteresis: by how much another encoder must lead to be chosen instead of the last one.
      temperature: τ of the weights of ``select=soft``, in units of the score.
      held_out: the share of the training samples that ``select=held_out`` keeps, and does not
        train on.
      radius: whether ρ is ``absolute``, or ``relative`` to the norm of the encoder's parameters, or
        to those of each ``filter``.
      eta: η, added to the norm of a filter with ``radius=filter``.
      fit_exponent: κ of the factor exp(-κ L_m) of the radius, which is small while the modality
        does not fit the batch.
      correct_other: take the fusion gradient of the fusion head at the perturbed point as well.
      direction: perturb along the gradient of the ``fusion`` loss or of the ``total`` loss.
      perturb_every: steps from one gradient at the perturbed point to the next.
      score_every: steps from one γ to the next; ``none`` for as many.
      reuse: what steps between take of the last correction: the component ``orthogonal`` to the
        total gradient, the ``whole`` or ``none``; ``lazy`` for none, with the correction counted
        ``perturb_every`` times where it is measured.
      weight: λ, the weight of every unimodal loss in the total loss.
    """

    rho: float = option(0.3, "[0, inf)", "ρ={}", always=True)
    alpha: float = option(0.8, "[0, 1]", "α={}")
    beta: float = option(0.91, "[0, 1]", "β={}")
    select: str = "dominant"
    scale_by_alignment: bool = option(True, title="γ:=1")
    alignment: Literal["partition", "per_tensor", "features"] = option(
        "partition", title=_ALIGNMENT_TITLES.__getitem__
    )
    alignment_part: int = option(1, "[1, inf)", "γ of 1 in {}")
    clip_negative: bool = option(False, title="γ≥0")
    decay: Literal["absolute", "relative", "standardized"] = option("absolute", title="{} decay")
    score_smoothing: float | None = option(None, "[0, 1)", "κ={}")
    hysteresis: float | None = option(None, "[0, inf)", "hysteresis {}")
    temperature: float = option(0.1, "(0, inf)", "τ={}")
    held_out: float = option(0.2, "(0, 1)", "{} held out")
    radius: Literal["absolute", "relative", "filter"] = option("absolute", title=_RADII.__getitem__)
    eta: float = option(0.01, "[0, inf)", "η={}")
    fit_exponent: float | None = option(None, "[0, inf)", fit_title)
    correct_other: bool = option(False, title="head corrected")
    direction: Literal["fusion", "total"] = option("fusion", title="along total")
    perturb_every: int = option(1, "[1, inf)", "perturbed every {}")
    score_every: int | None = option(None, "[1, inf)", "γ every {}")
    reuse: Literal["orthogonal", "whole", "none", "lazy"] = option("orthogonal", title="reuse={}")
    weight: float = option(1.0, "(0, inf)", " λ={}")

    def __post_init__(self) -> None:
        """Checks every option, and those that exclude each other."""
        super().__post_init__()
        if self.alignment == "features" and self.alignment_part > 1:
            raise ValueError(
                f"alignment_part={self.alignment_part} and alignment=features exclude each other:"
                " both say from what γ is taken"
            )


def _search(options: MasamOptions) -> dict[str, Search]:
    """Where ``masam tune`` looks for the options that are not named."""
    search: dict[str, Search] = {"rho": _RHO[options.radius], "weight": LogUniform(0.1, 10)}
    if options.select in BY_SCORE:
        search |= {"alpha": Uniform(0, 1), "beta": Uniform(0.5, 0.99)}
    if options.select == "soft":
        search["temperature"] = LogUniform(0.001, 10)
    if options.score_smoothing is not None:
        search["score_smoothing"] = Uniform(0, 0.99)
    if options.fit_exponent is not None:
        search["fit_exponent"] = Uniform(0, 4)
    if options.hysteresis is not None:
        search["hysteresis"] = LogUniform(0.001, 1)
    return search


def _objective(options: MasamOptions, context: Context) -> Objective:
    del context
    return HeldOutObjective() if options.select == "held_out" else LATE_FUSION_OBJECTIVE


def _schedule(options: MasamOptions) -> Schedule:
    return HeldOutSchedule(share=options.held_out) if options.select == "held_out" else Schedule()


def _cycle(options: MasamOptions) -> tuple[Refresh | None, ...]:
    cycle = refresh_cycle(options.perturb_every, options.score_every)
    return cycle if len(cycle) > 1 else (None,)


def _gradients(options: MasamOptions) -> tuple[GradientKind, ...]:
    # The second pullback, of steps between or for features, would be taken for the log alone.
    exact = len(_cycle(options)) == 1 and options.alignment != "features"
    exact &= options.alignment_part == 1
    return ("fusion", "unimodal") if exact else ()


MASAM = register(
    Method(
        name="masam",
        summary="modality-aware SAM: perturbs the dominant encoder alone",
        options=MasamOptions,
        build=built_by(masam),
        objective=_objective,
        schedule=_schedule,
        title=titled("MASAM"),
        loss_weight=lambda options: options.weight,
        alignment_part=lambda options: options.alignment_part,
        gradients=_gradients,
        search=_search,
        # A modality fixed beforehand, or all of them, leave nothing to decide on the host.
        host_dispatch=lambda options: options.select in CHOOSING,
        cycle=_cycle,
    )
)
