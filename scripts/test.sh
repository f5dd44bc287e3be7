#!/usr/bin/env bash
# Makes or reuses .venv (or VENV=DIR) and runs the tests, a process for each core; arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment test
cd "$ROOT"
exec "$VENV/bin/python" -m pytest -n auto "$@"
