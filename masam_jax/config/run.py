"""Where a run is written, which processes take part in it, and whether programs are kept."""

import dataclasses
from typing import Literal

from masam_jax.config.mesh import Parallel, ShardingRule, parse_mesh, parse_rule
from masam_jax.core.specs import Options, option


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """Where the run is written."""

    output: str | None = None
    """Run directory, or its path in a bucket; a new one under runs/, named by date and time, when
    None."""
    resume: bool = False
    """Go on with the run in that directory, from its last checkpoint; --resume DIRECTORY alone
    takes the options that it was begun with, and more --steps or --epochs make it longer."""
    fall_back: bool = False
    """With --resume: where the last checkpoint is damaged, go on from the last whole one."""
    overwrite: bool = False
    """Delete the run in that directory, and start again."""
    no_plots: bool = False
    """Leave out the PNG plots and the HTML report."""
    loggers: tuple[str, ...] = ("tensorboard",)
    """Where metrics go beside metrics.jsonl: tensorboard, csv, wandb, mlflow, or
    package.module:function; not a part of what the numbers depend on."""
    profile: bool = False
    """Trace a few steps after warm-up into the run's profile/, for Perfetto and XProf; the numbers
    stay as they are."""

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other; leave one of them out")
        if self.fall_back and not self.resume:
            raise ValueError("--fall-back needs --resume: the run to go on with")
        if self.resume and self.output is None:
            raise ValueError("--resume needs --output: the run directory to go on with")


@dataclasses.dataclass(frozen=True)
class CompilationConfig:
    """How programs are compiled; no number depends on it."""

    compilation_cache: bool = True
    """Whether compiled programs are kept for the next start; in ~/.cache/masam_jax, or in
    $JAX_COMPILATION_CACHE_DIR."""


@dataclasses.dataclass(frozen=True)
class DistributionConfig(Options):
    """Several devices, and several processes with devices of their own."""

    mesh: str | None = None
    """Devices along the axes seeds, data (samples of a batch) and model (parameters), such as
    seeds=4,data=2; when None, seeds are spread over all devices, or else the batch."""
    shard_parameters: tuple[str, ...] = ()
    """Parameters that are split over devices, each as REGEX=AXIS, or REGEX=AXIS/AXIS/... for their
    dimensions, the axes being data, model and none; the first one that fits counts. When left out,
    all large ones over model."""
    parallel: Parallel = "jit"
    """How a step comes to several devices: jit, whose XLA splits one program; or pmap, each device
    its seeds, or its part of every batch. The numbers are the same, but for rounding."""
    cluster: Literal["auto", "none", "slurm", "ompi", "tpu", "k8s"] = "auto"
    """What started the processes: SLURM, Open MPI, Cloud TPU, Kubernetes or none of them; auto is
    the one that is there. It says how many processes there are, unless --num-processes does."""
    coordinator_address: str | None = None
    """host:port of process 0."""
    num_processes: int = option(1, "[1, inf)")
    """Number of processes."""
    process_id: int = 0
    """Which of them this is."""
    connect_timeout: int = option(300, "[1, inf)")
    """Seconds to wait for all processes to come."""
    peer_timeout: int = option(30, "[2, inf)")
    """Seconds without a sign of another process after which all end, with exit code 75."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.axes, self.rules
        if not 0 <= self.process_id < self.num_processes:
            raise ValueError(
                f"process_id={self.process_id} is out of range: expected 0 to num_processes-1 ="
                f" {self.num_processes - 1}"
            )
        named = self.cluster not in ("auto", "none")
        if self.num_processes > 1 and self.coordinator_address is None and not named:
            raise ValueError(
                f"num_processes={self.num_processes} needs --coordinator-address host:port"
            )
        if self.coordinator_address is not None:
            host, _, port = self.coordinator_address.rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(
                    f"coordinator_address={self.coordinator_address!r} is not host:port"
                )

    @property
    def axes(self) -> dict[str, int] | None:
        """Devices along each axis of the mesh; None for automatic ones."""
        return None if self.mesh is None else parse_mesh(self.mesh)

    @property
    def rules(self) -> tuple[ShardingRule, ...]:
        """How parameters are split."""
        return tuple(map(parse_rule, self.shard_parameters))
