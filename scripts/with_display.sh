#!/usr/bin/env bash
# Run a command that opens windows. `virtual`: on a virtual screen with software OpenGL, the same on every machine,
# when Xvfb is there. `real`: on the screen of this machine when it has one, else as `virtual`.
# usage: with_display.sh virtual|real COMMAND...
set -euo pipefail
preference=$1
shift

has_screen() { [ "$(uname)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }
has_xvfb() { command -v xvfb-run >/dev/null && command -v Xvfb >/dev/null; }

if { [ "$preference" = virtual ] && has_xvfb; } || ! has_screen; then
    has_xvfb || { echo "no screen here and no Xvfb; install it with: sudo apt-get install xvfb xauth" >&2; exit 1; }
    export QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 PVPU_VIRTUAL_DISPLAY=1
    unset WAYLAND_DISPLAY
    exec xvfb-run -a -s '-screen 0 1920x1200x24 -dpi 96 -nolisten tcp' "$@"
fi
exec "$@"
