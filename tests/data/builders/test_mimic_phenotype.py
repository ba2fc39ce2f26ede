from masam_jax.data.builders.mimic_phenotype import MimicPhenotype
from masam_jax.data.builders.registry import builder_class


def test_there_are_25_labels_in_the_order_of_the_lists():
    assert builder_class("mimic_phenotype") is MimicPhenotype
    assert MimicPhenotype.name == "mimic_phenotype"
    assert MimicPhenotype.METRIC == "auprc"
    assert MimicPhenotype.MULTI_LABEL
    names = MimicPhenotype.LABEL_COLUMNS
    assert len(set(names)) == 25
    # The extraction sorts them.
    assert list(names) == sorted(names)
    assert names == MimicPhenotype.CLASS_NAMES
    assert not any("," in name for name in names)


def test_documentation_states_the_task_and_every_step():
    text = " ".join(str(MimicPhenotype.__doc__).split())
    for words in ("MASAM .498", "late fusion .475", ".481 (InfoReg)", "five folds of patients"):
        assert words in text
    assert "phenotyping/\n" in MimicPhenotype.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert "create_phenotyping" in MimicPhenotype.MANUAL_DOWNLOAD_INSTRUCTIONS
