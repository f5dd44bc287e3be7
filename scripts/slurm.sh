#!/usr/bin/env bash
#SBATCH --job-name=canon
#SBATCH --array=0-7
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=canon-%A_%a.log
# A sweep as an array job, from the repository's root; each task takes every n-th row, and all need one --workdir to share:
#   sbatch --array=0-7 --time=4:00:00 --gres=gpu:1 scripts/slurm.sh configs/papers/resnet/depth.py --scale=paper --workdir=/shared/resnet
# Two minutes before its time is up, or when it is preempted, a task saves a checkpoint, ends with 75, and is queued again.
# To run one task again: sbatch --array=3 --export=ALL,SHARDS=8 scripts/slurm.sh ...
set -euo pipefail

fail() {
  echo "scripts/slurm.sh: $1" >&2
  exit 2
}

[ -n "${SLURM_ARRAY_TASK_ID:-}" ] || fail "no array job; sbatch --array=0-7 scripts/slurm.sh TABLE.py --workdir=DIR"
[ -f scripts/sweep.py ] || fail "$PWD is not the repository; sbatch from its root, or with --chdir"
case " $* " in *" --shard"*) fail "--shard is this script's own; each of the tasks gets one" ;; esac
case " $* " in *" --workdir"*) ;; *) fail "--workdir is missing; all tasks need one that they share" ;; esac
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
shard=$SLURM_ARRAY_TASK_ID
[ "$shard" -lt "$shards" ] || fail "task $shard of $shards; --array counts from 0, as in --array=0-7"

told=false sweep=''
trap 'told=true; trap : TERM; [ -z "$sweep" ] || kill -TERM "$sweep" || true' TERM
"${VENV:-.venv}/bin/python" -m scripts.sweep "$@" --shard="$shard/$shards" &
sweep=$!
if $told; then kill -TERM "$sweep" || true; fi  # told before there was a sweep to tell
wait "$sweep" || true  # a signal ends this one early
code=0
wait "$sweep" || code=$?
if [ "$code" -eq 75 ] || { $told && [ "$code" -eq 143 ]; }; then  # 143: it was still starting
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
