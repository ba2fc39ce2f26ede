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
from experiments.dynamics_tables import (
    Case,
    by_condition,
    choice_table,
    left_out_remark,
    modality_table,
    remark,
    rule_table,
)
from experiments.paper import (
    Findings,
    FinishedRun,
    PaperExperiment,
    PlannedRun,
    Scale,
    by_dataset,
)
from experiments.radii import masam_of
from experiments.removal import ByModality, masked_costs
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
      kind: what it is, for data of any modalities.
      words: in tables.
      options: keywords of `masam_jax.compare`.
    """

    label: str
    kind: str
    words: str
    options: Mapping[str, Any]


_AS_IT_IS = Condition("dynamics", "as it is", "as it is", {})


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
    found = [
        Condition(
            f"dynamics-noise-{_plain(m)}",
            "one modality noisy",
            f"{m} noisy, 0 dB",
            {**_NOISE, "input_noise_of": [m]},
        )
        for m in noisy
    ]
    lacking, missing = "some missing in training", {"missing": _SHARE, "missing_in": "train"}
    words = f"{100 * _SHARE:.0f} % missing in training"
    found.append(Condition("dynamics-missing", lacking, words, missing))
    for size in _BATCHES:
        words = f"batches of {size}"
        found.append(Condition(f"dynamics-batch-{size}", words, words, {"batch_size": size}))
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
    tables, plots, said = [], [], []
    by_kind: dict[str, list[Case]] = {}
    as_they_are: list[tuple[Case, ByModality]] = []
    for dataset, found in by_dataset(runs).items():
        modalities = tuple(_modalities(dataset))

        def case(words: str, run: FinishedRun, name: str, of: tuple[str, ...] = modalities) -> Case:
            return Case(words, run, name, masked_costs(run, name, of))

        conditions = _conditions(dataset, scale)
        cases = [case(c.words, found[c.label], BASELINE) for c in conditions]
        for condition, each in zip(conditions, cases, strict=True):
            by_kind.setdefault(condition.kind, []).append(each)
        left_out = {
            m: cases[0].scores - np.array(found[_without(m)].scores(BASELINE), np.float64)
            for m in modalities
        }
        as_they_are.append((cases[0], left_out))
        perturbed = case("as it is, MASAM", found[_AS_IT_IS.label], "MASAM")
        slug = perturbed.run.planned.slug
        tables += [
            choice_table(f"choices-{slug}", dataset, [*cases, perturbed], left_out),
            rule_table(f"rules-{slug}", dataset, cases, left_out),
            modality_table(f"modalities-{slug}", dataset, cases[0], left_out),
        ]
        plots.append(share_plot(f"shares-{slug}", dataset, cases))
        said.append(remark(cases, f"On {dataset}"))
    every = [each for cases in by_kind.values() for each in cases]
    overall = remark(every, "Over all data and conditions")
    remarks = (overall, by_condition(by_kind), left_out_remark(as_they_are), *said)
    return Findings(remarks, tuple(tables), tuple(plots))


EXPERIMENT = PaperExperiment(
    "dynamics", "Does the score choose the modality whose removal costs most?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
