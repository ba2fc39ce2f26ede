#!/bin/bash
# TPU=my-pod ZONE=us-central2-b RUN=/shared/runs/first experiments/launch/tpu_vm.sh train --seeds 16 ...
# One process on each host of a TPU VM that is there, with masam installed; RUN is a directory that
# all hosts see. The same line goes on with a run that was cut short.
set -e
: "${TPU:?the name of the TPU VM}" "${ZONE:?its zone}"
: "${RUN:?the run directory, on a file system that all hosts share}"
about() { gcloud compute tpus tpu-vm describe "$TPU" --zone "$ZONE" --format "value($1)"; }
coordinator="$(about 'networkEndpoints[0].ipAddress'):${MASAM_PORT:-8476}"
count=$(about 'networkEndpoints.len()')
metadata=http://metadata.google.internal/computeMetadata/v1/instance/attributes
words=$(printf '%q ' "$@" --output "$RUN" --coordinator-address "$coordinator" --num-processes "$count")
place=$(printf '%q' "$RUN/config.json")

gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all --command "
resume=; if [ -e $place ]; then resume=--resume; fi
number=\$(curl -sf -H 'Metadata-Flavor: Google' $metadata/agent-worker-number)
exec masam $words --process-id \$number \$resume"
