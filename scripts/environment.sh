# Sourced by the other scripts: makes or reuses the virtual environment $VENV (default: .venv in the repository)
# with the pinned dependencies. environment EXTRA... installs those extras; python3 (or $PYTHON) must be 3.11 or newer.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac

environment() {
  local extras pins python=${PYTHON:-python3}
  extras=$(IFS=,; echo "$*")
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "$python: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3" >&2
    exit 2
  fi
  if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "making $VENV"
    "$python" -m venv "$VENV"
  fi
  pins=$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)
  grep -qsxF "$ROOT $pins" "$VENV/installed" || echo "$ROOT $pins" >"$VENV/installed"  # other pins: nothing is installed
  if ! grep -qxF "extras: $extras" "$VENV/installed"; then
    echo "installing the pinned dependencies into $VENV (a minute or two the first time)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c "$ROOT/constraints.txt" -e "$ROOT${extras:+[$extras]}"
    echo "extras: $extras" >>"$VENV/installed"
  fi
}
