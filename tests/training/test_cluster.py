"""The processes of a run as SLURM, Open MPI, Kubernetes and Cloud TPU say them."""

import sys
import types

import pytest

from masam_jax.config import DistributionConfig
from masam_jax.config.errors import RunError
from masam_jax.training import cluster
from masam_jax.training.cluster import own_devices, with_cluster

SLURM = {
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_NODELIST": "node[007-009],gpu1",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
    "SLURM_NODEID": "2",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Sets variables, and nothing else of a cluster."""
    known = [name for each in cluster._CLUSTERS.values() for name in each.variables]
    for name in (*known, *SLURM, *OPEN_MPI, *cluster._VISIBLE, "JAX_LOCAL_DEVICE_IDS"):
        monkeypatch.delenv(name, raising=False)

    def set_all(variables, *without, **further):
        for name, value in {**variables, **further}.items():
            if name not in without:
                monkeypatch.setenv(name, value)

    return set_all


def _found(**options):
    config = with_cluster(DistributionConfig(**options))
    return config.coordinator_address, config.num_processes, config.process_id


@pytest.mark.parametrize("name", ["auto", "slurm"])
def test_slurm(environment, name):
    environment(SLURM)
    assert _found(cluster=name) == ("node007:61586", 4, 2)


@pytest.mark.parametrize("name", ["auto", "ompi"])
def test_open_mpi(environment, name, monkeypatch):
    environment(OPEN_MPI)
    host, port = _found(cluster=name)[0].split(":")
    assert (host, _found(cluster=name)[1:]) == ("10.96.0.1", (8, 5))
    assert 61440 <= int(port) < 65536
    monkeypatch.setenv("JAX_COORDINATOR_PORT", "1234")
    assert _found(cluster=name)[0] == "10.96.0.1:1234"


def test_cloud_tpu(environment, monkeypatch):
    variables = {"TPU_WORKER_HOSTNAMES": "localhost,b", "TPU_WORKER_ID": "1"}
    environment(variables, MEGASCALE_NUM_SLICES="1", MEGASCALE_SLICE_ID="0")
    environment({}, MEGASCALE_COORDINATOR_ADDRESS="localhost:1")
    detection = sys.modules[cluster._jax.GkeTpuCluster.__module__]
    monkeypatch.setattr(detection, "running_in_cloud_tpu_vm", True)
    assert _found() == ("localhost:8482", 2, 1)


def test_kubernetes(environment, monkeypatch):
    environment({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"})
    monkeypatch.setitem(sys.modules, "kubernetes", types.ModuleType("kubernetes"))
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name == "kubernetes")
    answers = {
        "is_env_present": lambda: True,
        "get_process_count": lambda: 4,
        "get_coordinator_address": lambda timeout_secs, override_coordinator_port: "a-0.b:55527",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(cluster._jax.K8sCluster, name, answer)
    assert _found() == ("a-0.b:55527", 4, 3)
    # A pod without an index is alone.
    monkeypatch.delenv("JOB_COMPLETION_INDEX")
    assert _found() == (None, 1, 0)


def test_what_was_not_started_by_any_is_alone(environment):
    assert _found() == (None, 1, 0)
    # A script of sbatch, outside of srun.
    environment(SLURM, "SLURM_STEP_NODELIST")
    assert _found() == (None, 1, 0)


def test_what_is_given_counts(environment):
    environment(SLURM)
    given = {"coordinator_address": "a:1", "num_processes": 2, "process_id": 1}
    assert _found(**given) == ("a:1", 2, 1)
    assert _found(cluster="none") == (None, 1, 0)
    assert _found(coordinator_address="a:1") == ("a:1", 4, 2)
    assert _found(cluster="slurm", coordinator_address="a:1") == ("a:1", 4, 2)
    assert _found(cluster="slurm", num_processes=4, process_id=2)[1:] == (4, 2)


def test_one_process_needs_no_address(environment):
    environment(OPEN_MPI, "OMPI_MCA_orte_hnp_uri", OMPI_COMM_WORLD_SIZE="1")
    environment({"OMPI_COMM_WORLD_RANK": "0"})
    assert _found() == _found(cluster="ompi") == (None, 1, 0)


@pytest.mark.parametrize(
    "variables, without, options, words",
    [
        (SLURM, "SLURM_PROCID", {"cluster": "slurm"}, "SLURM did not start .* SLURM_PROCID is not"),
        ({}, "", {"cluster": "tpu"}, "Cloud TPU is not found here; start the command on every"),
        ({}, "", {"cluster": "k8s"}, "KUBERNETES_SERVICE_HOST is not set; .* Indexed"),
        # Open MPI 5.
        (OPEN_MPI, "OMPI_MCA_orte_hnp_uri", {}, "OMPI_MCA_orte_hnp_uri is not set; give --coord"),
        ({**SLURM, "SLURM_NTASKS": "four"}, "", {}, "SLURM does not say enough: .*'four'"),
        ({**SLURM, "SLURM_PROCID": "4"}, "", {}, "process_id=4 is out of range"),
        (
            {**SLURM, **OPEN_MPI},
            "",
            {},
            "this is process 5 of 8 to Open MPI, and process 2 of 4 to SLURM; --cluster ompi or",
        ),
        (
            SLURM,
            "",
            {"cluster": "slurm", "num_processes": 2, "process_id": 1},
            "SLURM says that this is process 2 of 4, and the options that it is process 1 of 2",
        ),
    ],
)
def test_what_is_missing_or_disagrees(environment, variables, without, options, words):
    environment(variables, without)
    with pytest.raises(RunError, match=words):
        with_cluster(DistributionConfig(**options))


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, None),
        (SLURM, None),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "1,8(x3)"}, [0]),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "8(x2),1(x2)"}, None),
        (OPEN_MPI, [1]),
        ({**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, None),
        ({**OPEN_MPI, "CUDA_VISIBLE_DEVICES": "5"}, None),
        ({**OPEN_MPI, "CUDA_VISIBLE_DEVICES": "4,5,6,7"}, [1]),
        ({**OPEN_MPI, "JAX_LOCAL_DEVICE_IDS": "0,1"}, None),
    ],
)
def test_processes_on_one_machine_take_a_gpu_each(environment, variables, expected):
    environment(variables)
    assert own_devices() == expected
