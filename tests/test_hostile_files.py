"""The short form of ``python -m tests.hostile_files``."""

import pytest

from tests.hostile_files import FAMILIES, attack


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_files_are_refused(family, tmp_path):
    refused, made, wrong = attack(family, tmp_path / "place", seed=1, times=4)
    assert not wrong, "\n".join(wrong)
    assert refused == made > 0
