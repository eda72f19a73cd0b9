#!/bin/sh
# The main job on a machine that has nothing but Python: set up .venv, then find the cells of a synthetic smear.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
"$venv/bin/python" -m pip install --quiet .
exec "$venv/bin/sgcldff" demo "$@"
