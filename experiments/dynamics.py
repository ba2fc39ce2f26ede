"""Whether what is fast and aligned is what the network needs: APS's choice, against removal.

    masam experiment dynamics --datasets mfeat

The network is trained by late fusion while MASAM's scores are kept (``masam:rho=0`` perturbs
nothing). The modality that the score chose on most steps is compared with the one whose removal
costs most: taken from all test samples, and left out of training, a network of its own for each.
Beside the score stand other rules that read the same log. Conditions: as it is; one modality noisy,
in training and at test; samples that lack modalities in training; smaller batches.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.alone import run_alone
from experiments.dynamics_plots import share_plot
from experiments.dynamics_tables import Case, choice_table, modality_table, remark, rule_table
from experiments.paper import (
    Findings,
    FinishedRun,
    PaperExperiment,
    PlannedRun,
    Scale,
    by_dataset,
)
from experiments.radii import masam_of
from experiments.removal import masked_costs
from experiments.verdict import BASELINE
from masam_jax.config.errors import RunError
from masam_jax.data.builders.registry import default_data_dir
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.description import describe_dataset

_WATCHED = "masam:rho=0"
_NOISE = {"input_noise": 0.0, "input_noise_in": "all"}
# Of most data here there are a hundred training samples, and batches of all of them.
_BATCHES = (8, 32)
_SHARE = 0.3


class Condition(NamedTuple):
    """What is changed of the data or of training.

    Attributes:
      label: of its run.
      words: in tables.
      options: keywords of `masam_jax.compare`.
    """

    label: str
    words: str
    options: Mapping[str, Any]


_AS_IT_IS = Condition("dynamics", "as it is", {})


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """A run for each condition, and one without each modality.

    Raises:
      RunError: the data have one modality.
    """
    options = scale.options(dataset)
    if "log_every" in options:  # Means over steps are of what was logged.
        options["log_every"] = 10
    modalities = tuple(_modalities(dataset))
    if len(modalities) == 1:
        raise RunError(f"{dataset} has one modality, {modalities[0]}: there is none to do without")
    runs = []
    for condition in _conditions(dataset, scale):
        methods = {BASELINE: _WATCHED}
        if condition.label == _AS_IT_IS.label:
            methods["MASAM"] = masam_of(dataset)
        runs.append(PlannedRun(dataset, condition.label, methods, {**options, **condition.options}))
    for m in modalities:
        rest = [other for other in modalities if other != m]
        further = options | {"modalities": rest}
        runs.append(PlannedRun(dataset, _without(m), {BASELINE: "late_fusion"}, further))
    return runs


def _conditions(dataset: str, scale: Scale) -> list[Condition]:
    able = [m for m, kind in _modalities(dataset).items() if kind != "tokens"]
    # The first of them in sorted order and the last.
    noisy = dict.fromkeys([*able[:1], *able[-1:]])
    changes = {
        f"noise-{_plain(m)}": (f"{m} noisy, 0 dB", {**_NOISE, "input_noise_of": [m]}) for m in noisy
    }
    missing = {"missing": _SHARE, "missing_in": "train"}
    changes["missing"] = (f"{100 * _SHARE:.0f} % missing in training", missing)
    changes |= {f"batch-{n}": (f"batches of {n}", {"batch_size": n}) for n in _BATCHES}
    found = [Condition(f"dynamics-{label}", *said) for label, said in changes.items()]
    return [_AS_IT_IS, *(found[:1] if scale.quick else found)]


def _modalities(dataset: str) -> dict[str, str]:
    """Name -> kind, sorted; of published data, whether they are prepared or not."""
    found = describe_dataset(parse_dataset(dataset), default_data_dir()).modalities
    return {m: found[m].kind for m in sorted(found)}


def _without(modality: str) -> str:
    return f"dynamics-without-{_plain(modality)}"


def _plain(modality: str) -> str:
    return re.sub(r"[^\w.-]+", "-", modality)


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """Who was chosen, what removal costs, and which rule names the costliest, by data set."""
    tables, plots, said, every = [], [], [], []
    for dataset, found in by_dataset(runs).items():
        modalities = tuple(_modalities(dataset))
        cases = [
            Case(
                c.words,
                found[c.label],
                BASELINE,
                masked_costs(found[c.label], BASELINE, modalities),
            )
            for c in _conditions(dataset, scale)
        ]
        whole = found[_AS_IT_IS.label]
        left_out = {
            m: cases[0].scores - np.array(found[_without(m)].scores(BASELINE), np.float64)
            for m in modalities
        }
        masam = Case("as it is, MASAM", whole, "MASAM", masked_costs(whole, "MASAM", modalities))
        slug = whole.planned.slug
        tables += [
            choice_table(f"choices-{slug}", dataset, [*cases, masam], left_out),
            rule_table(f"rules-{slug}", dataset, cases, left_out),
            modality_table(f"modalities-{slug}", dataset, cases[0], left_out),
        ]
        plots.append(share_plot(f"shares-{slug}", dataset, cases))
        said.append(remark([*cases], f"On {dataset}"))
        every += cases
    return Findings(
        (remark(every, "Over all data and conditions"), *said), tuple(tables), tuple(plots)
    )


EXPERIMENT = PaperExperiment(
    "dynamics", "Does the score choose the modality whose removal costs most?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
