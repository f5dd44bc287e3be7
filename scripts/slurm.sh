#!/usr/bin/env bash
#SBATCH --job-name=canon
#SBATCH --array=0-7
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output=canon-%A_%a.log
# A sweep as an array job, from the repository's root; each task takes every n-th row, and all need one --workdir to share:
#   sbatch --array=0-7 --time=4:00:00 --gres=gpu:1 scripts/slurm.sh configs/papers/resnet/depth.py --scale=paper --workdir=/shared/resnet
# Two minutes before its time is up Slurm sends a task USR1: it saves a checkpoint, ends with 75, and
# is queued again; so --time must be well above two minutes. SIGTERM, by scancel or a preemption, makes
# it save and end: Slurm itself queues a preempted task again, and a cancelled one stays cancelled.
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

sweep='' told=''
tell() {  # USR1: its time is up; TERM: cancelled or preempted, which is the last word
  [ "$told" = TERM ] || told=$1
  [ -z "$sweep" ] || kill -TERM "$sweep" 2>/dev/null || true
}
trap 'tell USR1' USR1
trap 'tell TERM' TERM
"${VENV:-.venv}/bin/python" -m scripts.sweep "$@" --shard="$shard/$shards" &
sweep=$!
[ -z "$told" ] || tell "$told"  # before there was a sweep to tell
while kill -0 "$sweep" 2>/dev/null; do
  wait "$sweep" || true  # a signal ends this one early
done
code=0
wait "$sweep" || code=$?
case $told/$code in
  USR1/75 | USR1/143)  # 143: it was still starting. $SLURM_JOB_ID may name the whole array
    task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    scontrol requeue "$task" ||
      echo "scripts/slurm.sh: task $task is not queued again; the same sbatch resumes" >&2
    ;;
esac
exit "$code"
