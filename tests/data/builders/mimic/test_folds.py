import numpy as np
import pytest

from masam_jax.data.builders.mimic.folds import FOLDS, fold_splits

GROUPS = np.array([f"1{number:07d}" for number in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 58, 97, 93, 23)])


def reference(groups, fold, seed):
    """Patients by name, in the order of PCG64's words, dealt to five folds in turn."""
    patients = sorted(set(groups.tolist()))
    words = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(7,))).random_raw(len(patients))
    of_patient = {}
    for place, (_, patient) in enumerate(sorted(zip(words, patients, strict=True))):
        of_patient[patient] = place % 5
    name = {fold: "test", (fold + 1) % 5: "validation"}
    return [name.get(of_patient[patient], "train") for patient in groups.tolist()]


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("fold", range(FOLDS))
def test_folds_are_dealt_by_patient(fold, seed):
    found = fold_splits(GROUPS, fold, seed)
    assert found.tolist() == reference(GROUPS, fold, seed)
    parts = {name: set(GROUPS[found == name]) for name in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == len(set(GROUPS.tolist())) == 11
    assert set.union(*parts.values()) == set(GROUPS)


def test_every_patient_is_tested_once_and_validated_once():
    for part in ("test", "validation"):
        rows = [np.flatnonzero(fold_splits(GROUPS, fold, 0) == part) for fold in range(FOLDS)]
        assert sorted(np.concatenate(rows)) == list(range(len(GROUPS)))


def test_another_seed_deals_otherwise():
    assert (fold_splits(GROUPS, 0, 0) != fold_splits(GROUPS, 0, 1)).any()


def test_the_order_of_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(GROUPS))
    np.testing.assert_array_equal(
        fold_splits(GROUPS[order], 2, 0), fold_splits(GROUPS, 2, 0)[order]
    )
