"""Prepared copies of the published data sets' made-up sources, once a session."""

from __future__ import annotations

from pathlib import Path

from masam_jax.data.dataset_spec import DatasetSpec, options_of, parse_dataset
from masam_jax.data.on_disk import PreparedData
from masam_jax.data.prepare import open_builder, prepare_dataset
from tests.data.builders.sources import fixture_options, fixture_spec, make_any_source


class PreparedCopies:
    """Prepares a data set when it is first asked for.

    Attributes:
      data_dir: where the prepared data are.
    """

    def __init__(self, directory: Path) -> None:
        self._sources = directory / "sources"
        self.data_dir = directory / "data"

    def spec(self, name: str, **options: object) -> str:
        """What the configuration calls the small data set, which is prepared by now."""
        source = self._sources / name
        if not source.exists():
            make_any_source(name, source)
            prepare_dataset(parse_dataset(fixture_spec(name)), self.data_dir, source)
        written = "".join(f",{option}={value}" for option, value in options.items())
        spec = fixture_spec(name)
        return spec + (written if ":" in spec else written.replace(",", ":", 1))

    def open(self, name: str, **options: object) -> PreparedData:
        """The prepared data, opened anew; not fitted."""
        self.spec(name)
        chosen = options_of(name)(**(fixture_options(name) | options))
        return PreparedData(open_builder(DatasetSpec(name, chosen), self.data_dir), self.data_dir)
