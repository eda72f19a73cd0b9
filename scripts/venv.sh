# Sourced by the other scripts: make .venv if it is not there, and leave its path in $venv.
venv=.venv
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or later is needed, and $python is not; name one, as in: PYTHON=python3.12 sh $0" >&2
    exit 1
fi
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! "$python" -m venv --clear "$venv"; then
        echo "$python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
fi
