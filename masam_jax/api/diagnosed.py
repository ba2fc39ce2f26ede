"""``masam_jax.diagnose``: is a modality drowned, and what answers it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from masam_jax.api.keywords import run_settings
from masam_jax.api.notebook import progress_for
from masam_jax.api.results import RunResults
from masam_jax.api.running import OutputPlace, call_in_words, warn_of
from masam_jax.config.errors import user_errors
from masam_jax.data.on_disk import Data
from masam_jax.diagnosis import Diagnosis, execute_diagnosis, plan_diagnosis


class DiagnosisResults(RunResults):
    """What was found; `table` and `plot` are those of the methods that were trained for it.

    Attributes:
      diagnosis: everything that was found.
    """

    def __init__(self, place: OutputPlace, diagnosis: Diagnosis) -> None:
        """Of a directory that a diagnosis wrote."""
        super().__init__(place)
        self.diagnosis = diagnosis

    @property
    def verdict(self) -> str:
        """What was found, in three sentences."""
        return self.diagnosis.verdict

    @property
    def drowned(self) -> tuple[str, ...]:
        """The modalities whose encoders joint training leaves worse; empty for none."""
        return self.diagnosis.drowned

    @property
    def modalities(self) -> pd.DataFrame:
        """A row for each modality: accuracies of its encoder alone and jointly, their difference.

        Fractions, with the ends of the difference's interval.
        """
        rows = {
            name: {
                "alone": each.alone,
                "joint_probe": each.joint_probe,
                "difference": each.difference,
                "lower": each.interval[0] if each.interval else None,
                "upper": each.interval[1] if each.interval else None,
            }
            for name, each in self.diagnosis.modalities.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality")

    @property
    def remedies(self) -> pd.DataFrame:
        """What answers it: a row for each method or option, why, and the command to try it."""
        rows = [(each.name, each.why, each.command) for each in self.diagnosis.remedies]
        return pd.DataFrame(rows, columns=["remedy", "why", "command"]).set_index("remedy")

    @property
    def page(self) -> Path:
        """The page of plots, ``diagnosis.html``."""
        return self.path / "diagnosis.html"

    def __repr__(self) -> str:
        """The verdict, and where the rest is."""
        return f"DiagnosisResults({str(self.path)!r})\n{self.verdict}"

    def _repr_html_(self) -> str:
        """The verdict and the modalities, as a notebook shows them."""
        said = pd.DataFrame({"": [self.verdict]}).to_html(index=False, header=False, border=0)
        return said + self.modalities.to_html(border=0, float_format=lambda x: f"{x:.3f}")


def diagnose(
    data: str | Data,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> DiagnosisResults:
    """Finds out whether one modality drowns the others, by how much, and what helps.

    Trains every modality alone, all of them by the fusion loss, and with unimodal losses too; then
    probes the encoders.

    Args:
      data: as for `masam_jax.compare`, and so the rest.
      output: likewise.
      resume: likewise.
      overwrite: likewise.
      progress: likewise.
      **options: every other flag of ``masam diagnose``.

    Returns:
      What was found: `verdict`, `drowned`, `modalities`, `remedies`, `page`.

    Raises:
      RunError: as `masam_jax.compare`; also data of one modality.
      TypeError: likewise.
    """
    place = OutputPlace(output)
    with user_errors():
        settings = run_settings("diagnose", data, options)
        asked = place.config(resume, overwrite, settings.loggers)
    plan = plan_diagnosis(settings.experiment, settings.inputs, data=settings.data)
    warn_of(plan)
    call = call_in_words("diagnose", settings.experiment.data.dataset, options)
    found = execute_diagnosis(plan, asked, call, progress_for(progress))
    return DiagnosisResults(place, found)
