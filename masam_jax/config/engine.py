"""Where the trials of a tuning are trained; no number depends on it."""

import dataclasses

from masam_jax.core.specs import Options, cut_specification, option, read_options, unknown


@dataclasses.dataclass(frozen=True)
class LocalEngine(Options):
    """This process, one trial after the other."""


@dataclasses.dataclass(frozen=True)
class RayEngine(Options):
    """Workers of a Ray cluster: the one of ``RAY_ADDRESS``, or one of this machine alone.

    Attributes:
      workers: how many; when None, as many as there is room for. More than methods are of no use.
      cpus: processors that each is given.
      gpus: GPUs that each is given; when None, one where the cluster has any.
    """

    workers: int | None = option(None, "[1, inf)")
    cpus: int = option(1, "[1, inf)")
    gpus: int | None = option(None, "[0, inf)")


_ENGINES: dict[str, type] = {"local": LocalEngine, "ray": RayEngine}


def parse_engine(spec: str) -> LocalEngine | RayEngine:
    """Reads ``name[:option=value,...]``.

    Raises:
      ValueError: an unknown engine or option, or a value that is not accepted.

    Examples:
      >>> parse_engine("ray:workers=4")
      RayEngine(workers=4, cpus=1, gpus=None)
    """
    name, text = cut_specification(spec)
    if name not in _ENGINES:
        raise ValueError(unknown("engine", name, _ENGINES))
    engine: LocalEngine | RayEngine = read_options(_ENGINES[name](), text, f"engine {spec!r}")
    return engine
