#!/usr/bin/env bash
# A sweep over several machines by plain ssh; each takes every n-th row. They share --workdir, and have this repository, with its
# .venv, in the folder --dir of the home (default: canon):
#   scripts/ssh_sweep.sh [--dir=canon] HOST... -- configs/papers/resnet/depth.py --scale=paper --workdir=/shared/resnet
# What a host says gets its name in front. The code is 0, or the largest of a host's. The same command goes on where it stopped.
set -euo pipefail

fail() {
  echo "scripts/ssh_sweep.sh: $1" >&2
  exit 2
}

quoted() {  # the words as a shell would read them
  local word
  for word in "$@"; do
    printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
  done
}

dir=canon hosts=()
while [ $# -gt 0 ]; do
  case $1 in
    --) break ;;
    --help | -h) sed -n '2,/^set/{/^set/!s/^# //p;}' "$0" && exit ;;
    --dir=?*) dir=${1#--dir=} ;;
    -*) fail "unknown flag '$1'; choose from --dir, and what goes to the sweep comes after --" ;;
    *) hosts+=("$1") ;;
  esac
  shift
done
[ ${#hosts[@]} -gt 0 ] || fail "no host; scripts/ssh_sweep.sh HOST... -- TABLE.py --workdir=DIR"
[ $# -gt 1 ] || fail "no table; scripts/ssh_sweep.sh HOST... -- TABLE.py --workdir=DIR"
shift
case " $* " in *" --shard"*) fail "--shard is this script's own; each of the hosts gets one" ;; esac
case " $* " in *" --workdir"*) ;; *) fail "--workdir is missing; all hosts need one that they share" ;; esac

sweeps=()
for i in "${!hosts[@]}"; do
  run="set -o pipefail; cd$(quoted "$dir") && .venv/bin/python -u -m scripts.sweep$(quoted "$@") --shard=$i/${#hosts[@]} 2>&1"
  run+=" | sed -u$(quoted "s/^/$(printf '%s: ' "${hosts[i]}" | sed 's/[\\&/]/\\&/g')/")"
  # -tt: what ends ssh ends the sweep too, by a hang-up. A silent host is given up after 30 s, after
  # 90 s once it has answered
  ssh -tt -o ConnectTimeout=30 -o ServerAliveInterval=30 "${hosts[i]}" \
    "bash -c$(quoted "$run")" </dev/null &
  sweeps+=($!)
done
trap 'kill "${sweeps[@]}" 2>/dev/null; exit 130' INT TERM HUP
worst=0
for i in "${!hosts[@]}"; do
  code=0
  wait "${sweeps[i]}" || code=$?
  case $code in
    0) end= ;;
    255) end="could not be reached, or was lost" ;;
    *) end="ended with $code" ;;
  esac
  [ -z "$end" ] || echo "scripts/ssh_sweep.sh: ${hosts[i]} $end; the same command resumes" >&2
  [ "$code" -le "$worst" ] || worst=$code
done
exit "$worst"
