"""MIMIC-IV with MIMIC-CXR: which of 25 conditions?"""

from __future__ import annotations

from masam_jax.data.builders.mimic.builder import MimicBuilder, instructions


class MimicPhenotype(MimicBuilder):
    """Which of 25 acute and chronic conditions does a patient in intensive care have?

    Metric: AUPRC, the mean over the K = 25 labels. Published: late fusion .475, best previous .481
    (InfoReg), MASAM .498. Lists: ``phenotyping``; a label is 1 if the hospital billed a diagnosis
    of that group.
    """

    TITLE = "MIMIC-IV + CXR, phenotypes"
    TASK = "phenotyping"
    LABEL_COLUMNS = (
        "Acute and unspecified renal failure",
        "Acute cerebrovascular disease",
        "Acute myocardial infarction",
        "Cardiac dysrhythmias",
        "Chronic kidney disease",
        "Chronic obstructive pulmonary disease and bronchiectasis",
        "Complications of surgical procedures or medical care",
        "Conduction disorders",
        "Congestive heart failure; nonhypertensive",
        "Coronary atherosclerosis and other heart disease",
        "Diabetes mellitus with complications",
        "Diabetes mellitus without complication",
        "Disorders of lipid metabolism",
        "Essential hypertension",
        "Fluid and electrolyte disorders",
        "Gastrointestinal hemorrhage",
        "Hypertension with complications and secondary hypertension",
        "Other liver diseases",
        "Other lower respiratory disease",
        "Other upper respiratory disease",
        "Pleurisy; pneumothorax; pulmonary collapse",
        "Pneumonia (except that caused by tuberculosis or sexually transmitted disease)",
        "Respiratory failure; insufficiency; arrest (adult)",
        "Septicemia (except in labor)",
        "Shock",
    )
    CLASS_NAMES = LABEL_COLUMNS
    MANUAL_DOWNLOAD_INSTRUCTIONS = instructions(TASK, "25 conditions")
