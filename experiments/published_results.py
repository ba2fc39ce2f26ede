"""The paper's numbers, to print beside what is measured: fractions, means of 4 seeds."""

from masam_jax.config.published import settings_of

BEST_PREVIOUS = {
    "mimic_phenotype": "info_reg",
    "mimic_mortality": "mmpareto",
    "crema_d": "aug",
    "kinetics_sounds": "aug",
    "food101": "mla",
    "adni": "aug",
    "ur_funny": "ogm_ge",
}
"""Data set of the main table -> the best method before MASAM."""

ABLATION = {
    "mimic_phenotype": {
        "MASAM": 0.498,
        "w/o APS": 0.484,
        "w/o MDPS": 0.491,
        "SAM only": 0.478,
        "late fusion": 0.475,
    },
    "kinetics_sounds": {
        "MASAM": 0.740,
        "w/o APS": 0.724,
        "w/o MDPS": 0.723,
        "SAM only": 0.689,
        "late fusion": 0.636,
    },
}
"""Data set -> row of the ablation -> its score."""


def published_score(dataset: str, method: str) -> float | None:
    """A method's score in the main table; None for what is not in it.

    Args:
      dataset: ``NAME[:OPTION=VALUE,...]``.
      method: its name without options.
    """
    settings = settings_of(dataset)
    return None if settings is None else settings.published.get(method)
