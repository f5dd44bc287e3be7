#!/usr/bin/env bash
# On each host of a TPU, called by scripts/tpu.sh: install [gs://DATA] | start [NAME=VALUE] COMMAND... | state | log LINES [follow]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

running() {
  [ -f run.pid ] && kill -0 "$(cat run.pid)" 2>/dev/null
}

case $1 in
  install)  # the images' own Python is older than ours
    command -v uv >/dev/null || export PATH="$HOME/.local/bin:$PATH"
    command -v uv >/dev/null || python3 -m pip install --quiet --user uv
    [ -x .venv/bin/python ] || uv venv --quiet --python 3.12 .venv
    uv pip install --quiet --python .venv/bin/python -c constraints.txt -e '.[tpu,gcs]'
    if [ $# -gt 1 ]; then
      mkdir -p ~/tensorflow_datasets
      gcloud storage rsync --recursive "$2" ~/tensorflow_datasets
    fi
    touch .venv/complete
    ;;
  start)
    ! running || { echo "canon: already running" && exit; }
    rm -f run.exit
    PATH="$PWD/.venv/bin:$PATH" setsid nohup bash -c 'env "$@"; echo $? >run.exit' run "${@:2}" >>run.log 2>&1 </dev/null &
    echo $! >run.pid
    ;;
  state)
    if [ ! -f .venv/complete ]; then
      echo "canon: bare"
    elif running; then
      echo "canon: running"
    elif [ -f run.exit ]; then
      echo "canon: ended $(cat run.exit)"
    elif [ -f run.pid ]; then
      echo "canon: ended 137"  # killed before it could say how
    else
      echo "canon: idle"
    fi
    ;;
  log)
    tail -n "$2" ${3:+-F} run.log
    ;;
  *)
    echo "scripts/tpu_host.sh: unknown action '$1'; choose from install, start, state, log" >&2
    exit 2
    ;;
esac
