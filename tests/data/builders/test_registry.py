from pathlib import Path

import pytest

from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.registry import (
    BUILDERS,
    builder_class,
    default_data_dir,
    default_source,
)
from masam_jax.training.classification_metrics import METRICS


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_builders_are_what_they_are_called_and_complete(name):
    kind = builder_class(name)
    assert issubclass(kind, PublishedBuilder)
    assert kind.name == name
    assert kind.METRIC in METRICS
    assert kind.TITLE
    assert kind.HOMEPAGE.startswith("https://")
    assert kind.CITATION.lstrip().startswith("@")
    assert kind.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()
    assert BUILDERS[name].summary
    assert len(set(kind.CLASS_NAMES)) == len(kind.CLASS_NAMES) >= 1
    # The published setting needs no word.
    assert set(kind.PREPARED_WITH) <= set(kind.OPTIONS.__dataclass_fields__)
    kind.OPTIONS()


def test_where_data_are(monkeypatch, tmp_path):
    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path))
    assert default_data_dir() == tmp_path
    assert default_source("adni", tmp_path) == tmp_path / "downloads" / "manual" / "adni"
    monkeypatch.delenv("MASAM_DATA_DIR")
    assert default_data_dir() == Path.home() / "masam_data"
