"""What a benchmark of Hessian traces might have measured."""

from experiments.benchmark_geometry import GeometryReport, Way
from masam_jax.geometry import Estimate

_WHOLE = Estimate(mean=2.0, standard_error=0.09, samples=40, reached=True, loss=1.0, norm=3.0)

GEOMETRY = GeometryReport(
    parameters=1000,
    whole=_WHOLE,
    whole_seconds=4.0,
    parts={"all": _WHOLE, "audio": _WHOLE},
    parts_seconds=8.0,
    ours=Way(seconds=0.1, ratio=0.5, flops=2e9, memory_bytes=1000),
    plain=Way(seconds=0.2, ratio=1.0, flops=3e9, memory_bytes=2000),
    difference=1e-7,
)
