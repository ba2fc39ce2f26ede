"""The launch recipes on this machine: two processes, and stand-ins for what starts them elsewhere.

``RUN=runs/two python -m experiments.launch.local slurm train --dataset mfeat --steps 100`` executes
``slurm.sbatch`` as it stands, with the words that follow. Of SLURM, Kubernetes and Google Cloud
there are only the commands and variables that the recipes use.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

_HERE = Path(__file__).parent
_PROCESSES = 2
# Ends as the worst of its processes does, as srun and gcloud ssh do.
_WAIT = (
    "worst=0; for p in $pids; do wait $p; c=$?; [ $c -gt $worst ] && worst=$c; done; exit $worst"
)
_STAND_INS = {
    "masam": f'exec "{sys.executable}" -m masam_jax "$@"',
    "scontrol": 'case $1 in show) echo 127.0.0.1;; *) echo "scontrol $*" >&2;; esac',
    "srun": f"""while [ "${{1#--}}" != "$1" ]; do shift; done
for i in $(seq 0 $((SLURM_NTASKS - 1))); do SLURM_PROCID=$i "$@" & pids="$pids $!"; done
{_WAIT}""",
    "curl": "echo $STAND_IN_WORKER",
    "gcloud": f"""case "$*" in
*ipAddress*) echo 127.0.0.1; exit;;
*len*) echo {_PROCESSES}; exit;;
esac
for last; do :; done
for i in $(seq 0 {_PROCESSES - 1}); do STAND_IN_WORKER=$i bash -c "$last" & pids="$pids $!"; done
{_WAIT}""",
}


def _slurm(words: Sequence[str], environment: dict[str, str]) -> int:
    given = {"SLURM_NTASKS": str(_PROCESSES), "SLURM_JOB_NODELIST": "here", "SLURM_JOB_ID": "1"}
    recipe = ["bash", str(_HERE / "slurm.sbatch"), *words]
    return subprocess.run(recipe, env=environment | given, check=False).returncode


def _tpu_vm(words: Sequence[str], environment: dict[str, str]) -> int:
    given = {"TPU": "here", "ZONE": "here"}
    recipe = [str(_HERE / "tpu_vm.sh"), *words]
    return subprocess.run(recipe, env=environment | given, check=False).returncode


def _jobset(words: Sequence[str], environment: dict[str, str]) -> int:
    job = yaml.safe_load((_HERE / "jobset.yaml").read_text())["spec"]["replicatedJobs"][0]
    spec = job["template"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    given |= {"MASAM_COORDINATOR": f"127.0.0.1:{environment['MASAM_PORT']}"}
    given |= {"RUN": environment["RUN"]}
    pods = [
        subprocess.Popen(
            [*container["command"], *(words or container["args"])],
            env={**environment, **given, "JOB_COMPLETION_INDEX": str(index)},
        )
        for index in range(spec["completions"])
    ]
    return max(pod.wait() for pod in pods)


RECIPES: dict[str, Callable[[Sequence[str], dict[str, str]], int]] = {
    "slurm": _slurm,
    "jobset": _jobset,
    "tpu_vm": _tpu_vm,
}


def main(arguments: Sequence[str]) -> int:
    """The exit code of a recipe.

    Args:
      arguments: its name, and the words for ``masam``.
    """
    if not arguments or arguments[0] not in RECIPES or "RUN" not in os.environ:
        print(f"usage: RUN=DIR python -m experiments.launch.local {{{','.join(RECIPES)}}} WORDS...")
        return 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        for name, text in _STAND_INS.items():
            script = Path(folder) / name
            script.write_text(f"#!/bin/bash\n{text}\n")
            script.chmod(0o755)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "MASAM_PORT": port}
        return RECIPES[arguments[0]](arguments[1:], environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
