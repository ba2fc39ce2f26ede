import dataclasses

from masam_jax.data.builders.mimic_mortality import MimicMortality
from masam_jax.data.builders.registry import builder_class


def test_the_default_is_the_published_setting():
    assert builder_class("mimic_mortality") is MimicMortality
    assert MimicMortality.name == "mimic_mortality"
    assert MimicMortality.METRIC == "auprc"
    assert MimicMortality.MULTI_LABEL
    assert len(MimicMortality.CLASS_NAMES) == len(MimicMortality.LABEL_COLUMNS) == 1
    assert dataclasses.asdict(MimicMortality.OPTIONS()) == {
        "pairs": "paired",
        "split": "folds",
        "fold": 0,
        "view": "AP",
        "xray_hours": 48,
        "limit": 10.0,
        "image_size": 224,
        "channels": 3,
        "outcome": "icu",
    }


def test_documentation_states_the_task_and_every_step():
    text = " ".join(str(MimicMortality.__doc__).split())
    for words in (
        "MASAM .603",
        "late fusion .567",
        ".585 (MMPareto)",
        "five folds of patients",
        "get the last one so far; before the first one, the column's median",
        "third - first quartile",
        "rotated by -45° to 45°, scaled by .85 to 1.15, shifted by up to .15",
    ):
        assert words in text
    assert "in-hospital-mortality/\n" in MimicMortality.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert "create_in_hospital_mortality" in MimicMortality.MANUAL_DOWNLOAD_INSTRUCTIONS
