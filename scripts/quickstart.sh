#!/usr/bin/env bash
# Installs into .venv (or VENV=DIR) and trains LeNet-5 on the embedded Fashion-MNIST images, three seeds, under a minute on 2 cores.
# Run again, it shows the result; --workdir=DIR and --config.KEY=VALUE go to the training command.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment
case " $* " in *" --workdir"*) ;; *) set -- --workdir="$ROOT/runs/quickstart" "$@" ;; esac
exec "$VENV/bin/canon" train --config="$ROOT/configs/lenet_fashion_mnist.py" --config.data.source=embedded "$@"
