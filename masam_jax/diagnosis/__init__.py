"""Whether one modality drowns the others, by how much, and what answers it.

from masam_jax.diagnosis import diagnose, plan_diagnosis

found = diagnose(plan_diagnosis(experiment), OutputConfig("runs/diagnosis"))
print(found.verdict)
"""

from masam_jax.core.extras import needs

with needs("masam_jax.diagnosis", "train", "analysis"):
    from masam_jax.diagnosis.conclusions import Diagnosis, FusionFinding, ModalityFinding
    from masam_jax.diagnosis.execution import diagnose, plan_diagnosis

__all__ = ["Diagnosis", "FusionFinding", "ModalityFinding", "diagnose", "plan_diagnosis"]
