"""The processes of a run as what started them says: SLURM, Open MPI, Cloud TPU, Kubernetes.

The one place that knows JAX's detection of clusters, which `jax.distributed.initialize` asks and
does not publish: how many processes there are must be known before they connect.
"""

import dataclasses
import importlib
import importlib.util
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from masam_jax.config import DistributionConfig
from masam_jax.config.errors import RunError, user_errors

# Private, and without types.
_jax: Any = importlib.import_module("jax._src.clusters")


class _Cluster(NamedTuple):
    """What starts processes.

    Attributes:
      title: what people call it.
      detections: JAX's classes, of which the first one counts that finds itself.
      hint: what to do where it is not there.
      variables: what it sets in every process.
      is_asked: whether others than variables are asked.
    """

    title: str
    detections: tuple[Any, ...]
    hint: str
    variables: tuple[str, ...] = ()
    is_asked: bool = False

    @property
    def missing(self) -> list[str]:
        """Variables that are not set."""
        return [name for name in self.variables if name not in os.environ]


# In the order in which JAX looks for them.
_CLUSTERS: Mapping[str, _Cluster] = {
    "ompi": _Cluster(
        "Open MPI",
        (_jax.OmpiCluster,),
        "start the command with mpirun",
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ),
    "slurm": _Cluster(
        "SLURM",
        (_jax.SlurmCluster,),
        "start the command with srun",
        ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    ),
    "tpu": _Cluster(
        "Cloud TPU",
        (_jax.GkeTpuCluster, _jax.GceTpuCluster),
        "start the command on every TPU VM",
        is_asked=True,
    ),
    "k8s": _Cluster(
        "Kubernetes",
        (_jax.K8sCluster,),
        "it takes a job with completionMode: Indexed, and pip install 'jax[k8s]'",
        ("KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"),
        is_asked=True,
    ),
}
_LAUNCHERS = ("ompi", "slurm")
# Of a process that sees some of a machine's devices alone.
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def with_cluster(config: DistributionConfig) -> DistributionConfig:
    """The processes as they were started: what options do not say is asked of the cluster.

    Raises:
      RunError: the cluster that was named is not there, does not say all that is needed, or says
        otherwise than the options; or two of them are there, and say different things.
    """
    if config.cluster == "none" or (config.cluster == "auto" and config.num_processes > 1):
        return config
    name = _started_by() if config.cluster == "auto" else config.cluster
    if name is None:
        return config
    cluster = _CLUSTERS[name]
    processes, process = found = _place(cluster)
    given = config.num_processes, config.process_id
    if config.num_processes > 1 and given != found:
        raise RunError(
            f"{cluster.title} says that this is {_words(*found)}, and the options that it is"
            f" {_words(*given)}; leave out --num-processes and --process-id, or --cluster {name}"
        )
    if processes == 1:
        return config
    address = config.coordinator_address or _address(cluster, config.connect_timeout)
    with user_errors():
        return dataclasses.replace(
            config, coordinator_address=address, num_processes=processes, process_id=process
        )


def own_devices() -> list[int] | None:
    """Which of the GPUs that this process sees it shall take; None for all of them.

    Where SLURM or Open MPI started several processes on this machine, each takes the one of its
    number here, unless it sees one alone, or ``JAX_LOCAL_DEVICE_IDS`` says which.
    """
    if "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return None
    if any(os.environ.get(name, ",").count(",") == 0 for name in _VISIBLE):
        return None
    for name, beside in (("ompi", _beside_in_ompi), ("slurm", _beside_in_slurm)):
        cluster = _CLUSTERS[name]
        if not cluster.missing and beside() > 1:
            return [int(cluster.detections[0].get_local_process_id())]
    return None


def _started_by() -> str | None:
    """The cluster that started this process as one of several; None for none."""
    there = [name for name in _LAUNCHERS if not _CLUSTERS[name].missing]
    places = {name: _place(_CLUSTERS[name]) for name in there}
    several = [name for name, (processes, _) in places.items() if processes > 1]
    if len({places[name] for name in several}) > 1:
        said = [f"{_words(*places[name])} to {_CLUSTERS[name].title}" for name in several]
        choices = " or ".join(f"--cluster {name}" for name in several)
        raise RunError(f"this is {', and '.join(said)}; {choices} says which of them counts")
    if there:
        return several[0] if several else None
    if any(each.is_env_present() for each in _CLUSTERS["tpu"].detections):
        return "tpu"
    # A pod that is alone has no index; and JAX asks Kubernetes through its own library.
    asks = not _CLUSTERS["k8s"].missing and importlib.util.find_spec("kubernetes")
    return "k8s" if asks else None


def _place(cluster: _Cluster) -> tuple[int, int]:
    """The number of processes, and which of them this is."""
    if cluster.missing:
        raise RunError(
            f"{cluster.title} did not start this process: {cluster.missing[0]} is not set;"
            f" {cluster.hint}, or leave out --cluster"
        )
    detection = _detection(cluster)
    processes = _asked(cluster, detection.get_process_count)
    return processes, _asked(cluster, detection.get_process_id)


def _address(cluster: _Cluster, seconds: int) -> str:
    """Where process 0 is, as ``host:port``."""
    address = _asked(
        cluster,
        _detection(cluster).get_coordinator_address,
        timeout_secs=seconds,
        override_coordinator_port=os.environ.get("JAX_COORDINATOR_PORT"),
    )
    return str(address)


def _detection(cluster: _Cluster) -> Any:
    """JAX's class."""
    if not cluster.is_asked:
        return cluster.detections[0]
    for each in cluster.detections:
        if _asked(cluster, each.is_env_present):
            return each
    raise RunError(f"{cluster.title} is not found here; {cluster.hint}, or leave out --cluster")


def _asked(cluster: _Cluster, question: Any, **arguments: Any) -> Any:
    try:
        return question(**arguments)
    except KeyError as error:
        raise RunError(
            f"{cluster.title} does not say enough: {error.args[0]} is not set; give"
            " --coordinator-address, --num-processes and --process-id"
        ) from error
    except Exception as error:  # Of metadata servers, of Kubernetes' library, of numbers.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(
            f"{cluster.title} does not say enough: {reason}; give --coordinator-address,"
            " --num-processes and --process-id"
        ) from error


def _words(processes: int, process: int) -> str:
    return f"process {process} of {processes}"


def _beside_in_ompi() -> int:
    """Processes on this machine; many where that is not known, as JAX takes it."""
    return int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "2"))


def _beside_in_slurm() -> int:
    """Likewise; SLURM writes ``2(x3),1`` for four machines."""
    counts: list[int] = []
    for part in os.environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip()):
            counts += [int(found[1])] * int(found[2] or 1)
    node = int(os.environ.get("SLURM_NODEID", "0"))
    return counts[node] if node < len(counts) else 2
