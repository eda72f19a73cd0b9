#!/bin/sh
# All checks and tests on a machine that has nothing but Python: libraries for Qt, .venv with tox, then tox.
# Arguments go to tox: `sh scripts/test.sh -e lint`.
set -eu
cd "$(dirname "$0")/.."

# napari's canvas needs OpenGL (Mesa renders it without a graphics card), Qt needs these parts of X,
# and Xvfb is the screen of a machine that has none.
libraries="xvfb xauth libgl1-mesa-dri libegl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
    libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0"

if [ "$(uname)" = Linux ]; then
    missing=
    for library in $libraries; do
        dpkg-query --show --showformat='${db:Status-Abbrev}' "$library" 2>/dev/null | grep -q '^ii' ||
            missing="$missing $library"
    done
    if [ -n "$missing" ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update --quiet
            # shellcheck disable=SC2086 # one word a package
            DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $missing
        else
            echo "The tests of the viewer need these libraries (names as in Debian), please install:$missing" >&2
        fi
    fi
fi

. scripts/venv.sh
"$venv/bin/python" -m pip install --quiet --constraint constraints-ci.txt tox
exec "$venv/bin/tox" run "$@"
