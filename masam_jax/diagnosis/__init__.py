"""Whether one modality drowns the others, by how much, and what answers it.

from masam_jax.diagnosis import execute_diagnosis, plan_diagnosis

found = execute_diagnosis(plan_diagnosis(experiment), OutputConfig("runs/diagnosis"))
print(found.verdict)
"""

from masam_jax.core.extras import needs

with needs("masam_jax.diagnosis", "train", "analysis"):
    from masam_jax.diagnosis.conclusions import Diagnosis, FusionFinding, ModalityFinding
    from masam_jax.diagnosis.execution import execute_diagnosis, plan_diagnosis

__all__ = [
    "Diagnosis",
    "FusionFinding",
    "ModalityFinding",
    "execute_diagnosis",
    "plan_diagnosis",
]
