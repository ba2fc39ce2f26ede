"""The rows of the study: baselines, what is recommended, and what differs from it in one thing."""

LATE_FUSION = "late fusion"
FUSION_ALONE, ALONE = "fusion loss alone", "modalities alone, averaged"
RECOMMENDED = "recommended"
"""The method of that name, which nobody tunes."""

UNTUNED = {
    LATE_FUSION: "late_fusion",
    FUSION_ALONE: "fusion_only",
    ALONE: "unimodal",
    RECOMMENDED: RECOMMENDED,
}
"""Name -> specification, in every case; the baseline first."""

FACTORS = {
    "choice: score": "recommended:select=dominant",
    "choice: random": "recommended:select=random",
    "choice: lowest score": "recommended:select=weakest",
    "choice: lowest loss": "recommended:select=lowest_loss",
    "choice: highest loss": "recommended:select=highest_loss",
    "choice: held-out loss": "recommended:select=held_out",
    "choice: soft": "recommended:select=soft",
    "score: relative Decay": "recommended:select=dominant,decay=relative",
    "score: standardized": "recommended:select=dominant,decay=standardized",
    "score: smoothed": "recommended:select=dominant,score_smoothing=0.9",
    "score: hysteresis": "recommended:select=dominant,hysteresis=0.05",
    "direction: total gradient": "recommended:direction=total",
    "without unimodal losses": "recommended:weight=0.001",
    "head not corrected": "recommended:correct_other=false",
    "radius whatever the fit": "recommended:fit_exponent=0",
    "every other step": "recommended:perturb_every=2,reuse=lazy",
}
"""One thing differs from what is recommended, at the same radius.

A thousandth of the unimodal losses trains their heads, which Adam does at any scale, and leaves the
encoders to the fusion loss.
"""

_ONLY_RHO = "alpha=0.8,beta=0.91,weight=1"
_SEARCHED = f"recommended:{_ONLY_RHO},fit_exponent=2"

TUNED = {
    "late fusion, λ tuned": "late_fusion",
    "SAM, tuned": "sam:weight=1",
    "ASAM, tuned": "asam:eta=0.01,weight=1",
    "MASAM, tuned": f"masam:{_ONLY_RHO}",
    "recommended, tuned": _SEARCHED,
}
"""Name -> specification whose radius, of late fusion λ, is searched, in every case."""

TUNED_FACTORS = {
    "scaled by γ, tuned": f"{_SEARCHED},scale_by_alignment=true",
    "per filter, tuned": f"{_SEARCHED},radius=filter,eta=0.01",
    "absolute radius, tuned": f"{_SEARCHED},radius=absolute",
}
"""What changes the meaning of the radius, which is searched therefore."""


def untuned(factors: bool) -> dict[str, str]:
    """The rows that nothing is searched for, late fusion first."""
    return UNTUNED | (FACTORS if factors else {})


def tuned(factors: bool) -> dict[str, str]:
    """The rows with a searched radius."""
    return TUNED | (TUNED_FACTORS if factors else {})
