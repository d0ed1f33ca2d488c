#!/bin/sh
# venv.sh run|test: makes .venv hold what requirements/$1.txt locks, and Parley itself, editable.
# Does nothing when that file and pyproject.toml are what they were; an environment for tests can also run the stack.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-$(command -v python3.11 || command -v python3 || echo python3)}
want() { cat "requirements/$1.txt" pyproject.toml | cksum; }
holds() { [ -x .venv/bin/parley ] && [ "$(cat ".venv/.holds-$1" 2>/dev/null)" = "$(want "$1")" ]; }

if holds "$1" || holds test; then exit 0; fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    { echo "$python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "Installing what requirements/$1.txt locks into .venv ..."
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
rm -f .venv/.holds-*
pip install --require-hashes --requirement "requirements/$1.txt"
pip install --no-deps --no-build-isolation --editable .
want "$1" >".venv/.holds-$1"
