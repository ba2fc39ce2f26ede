"""The rows of the study: baselines, what is recommended, and what differs from it in one thing."""

LATE_FUSION = "late fusion"
FUSION_ALONE, ALONE = "fusion loss alone", "modalities alone, averaged"
RECOMMENDED = "relative"
"""Every encoder perturbed by a tenth of its norm along the fusion gradient, the head corrected."""

_FIXED = "scale_by_alignment=false,radius=relative,correct_other=true"
_ALL = f"masam:rho=0.1,select=all,{_FIXED}"

UNTUNED = {
    LATE_FUSION: "late_fusion",
    FUSION_ALONE: "fusion_only",
    ALONE: "unimodal",
    RECOMMENDED: _ALL,
}
"""Name -> specification, in every case; the baseline first."""

FACTORS = {
    "choice: score": f"masam:rho=0.1,{_FIXED}",
    "choice: random": f"masam:rho=0.1,select=random,{_FIXED}",
    "choice: lowest score": f"masam:rho=0.1,select=weakest,{_FIXED}",
    "choice: lowest loss": f"masam:rho=0.1,select=lowest_loss,{_FIXED}",
    "choice: highest loss": f"masam:rho=0.1,select=highest_loss,{_FIXED}",
    "choice: held-out loss": f"masam:rho=0.1,select=held_out,{_FIXED}",
    "choice: soft": f"masam:rho=0.1,select=soft,{_FIXED}",
    "score: relative Decay": f"masam:rho=0.1,decay=relative,{_FIXED}",
    "score: standardized": f"masam:rho=0.1,decay=standardized,{_FIXED}",
    "score: smoothed": f"masam:rho=0.1,score_smoothing=0.9,{_FIXED}",
    "score: hysteresis": f"masam:rho=0.1,hysteresis=0.05,{_FIXED}",
    "direction: total gradient": f"{_ALL},direction=total",
    "without unimodal losses": f"{_ALL},weight=0.001",
    "head not corrected": _ALL.replace("correct_other=true", "correct_other=false"),
    "every other step": f"{_ALL},perturb_every=2,reuse=lazy",
}
"""One thing differs from what is recommended, at the same radius.

A thousandth of the unimodal losses trains their heads, which Adam does at any scale, and leaves the
encoders to the fusion loss.
"""

_ONLY_RHO = "alpha=0.8,beta=0.91,weight=1"
_SEARCHED_ALL = f"masam:{_ONLY_RHO},select=all"

TUNED = {
    "late fusion, λ tuned": "late_fusion",
    "SAM, tuned": "sam:weight=1",
    "ASAM, tuned": "asam:eta=0.01,weight=1",
    "MASAM, tuned": f"masam:{_ONLY_RHO}",
    "relative, tuned": f"{_SEARCHED_ALL},{_FIXED}",
}
"""Name -> specification whose radius, of late fusion λ, is searched, in every case."""

TUNED_FACTORS = {
    "scaled by γ, tuned": f"{_SEARCHED_ALL},radius=relative,correct_other=true",
    "per filter, tuned": (
        f"{_SEARCHED_ALL},scale_by_alignment=false,radius=filter,eta=0.01,correct_other=true"
    ),
    "absolute radius, tuned": f"{_SEARCHED_ALL},scale_by_alignment=false,correct_other=true",
}
"""What changes the meaning of the radius, which is searched therefore."""


def untuned(factors: bool) -> dict[str, str]:
    """The rows that nothing is searched for, late fusion first."""
    return UNTUNED | (FACTORS if factors else {})


def tuned(factors: bool) -> dict[str, str]:
    """The rows with a searched radius."""
    return TUNED | (TUNED_FACTORS if factors else {})
