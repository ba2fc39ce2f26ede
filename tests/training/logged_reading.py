"""``masam`` that writes down the rows that it trains on, batch by batch, for tests of processes."""

import os
import sys
from pathlib import Path

from masam_jax.cli.command_line import main
from masam_jax.data.builders.adni import Adni
from masam_jax.data.sample_reader import SampleReader

if __name__ == "__main__":
    read = SampleReader.__call__

    def logged(self, rows, draws=None):
        """Samples that are augmented are trained on."""
        if draws is not None:
            with Path(os.environ["READ_LOG"]).open("a") as log:
                log.write(f"{' '.join(map(str, rows))}\n")
        return read(self, rows, draws)

    SampleReader.__call__ = logged
    Adni.IN_MEMORY = False
    sys.exit(main())
