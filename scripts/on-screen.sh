#!/bin/sh
# Run a command on the screen, or on a virtual one where there is none.
if [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec xvfb-run --auto-servernum --server-args="-screen 0 1400x900x24" "$@"
fi
exec "$@"
