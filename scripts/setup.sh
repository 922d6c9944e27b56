#!/usr/bin/env bash
# Everything `make demo` and `make test` need, from a bare machine: a virtual environment in .venv with this package
# in it, and the system libraries for Qt and OpenGL. Does nothing that is already done. Run from the repository root.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv

# What PyQt6 and a software OpenGL need on Debian and its relatives.
debian_packages=(
    libgl1 libegl1 libgl1-mesa-dri libglx-mesa0
    libdbus-1-3 libfontconfig1 libglib2.0-0 libxkbcommon0 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xkb1
)

fail() {
    echo "setup: $*" >&2
    exit 1
}

on_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

# On newer releases `libglib2.0-0` is `libglib2.0-0t64`, which provides the old name too.
installed() {
    { dpkg-query -W -f '${Status}\n' "$1" "$1t64" 2>/dev/null || true; } | grep '^install ok installed' >/dev/null
}

apt_install() {
    echo "setup: installing $* with apt-get"
    DEBIAN_FRONTEND=noninteractive apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

ensure_packages() {
    local missing=() name
    for name in "$@"; do
        installed "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ]; then
        apt_install "${missing[@]}"
    else
        fail "system libraries are missing; install them with: sudo apt-get install ${missing[*]}"
    fi
}

find_python() {
    local name
    for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3 python; do
        if [ -n "$name" ] && command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer was found; install one, or name it: make PYTHON=/path/to/python ..."
}

make_venv() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian packs these two modules of the standard library separately.
        on_debian || fail "$python lacks the modules venv and ensurepip; install them"
        ensure_packages "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    echo "setup: creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

# Other Linux systems: the names of the packages differ, the libraries that Qt misses do not.
check_libraries() {
    local plugin missing
    plugin=$("$venv/bin/python" -c 'import PyQt6, pathlib
print(pathlib.Path(PyQt6.__file__).parent / "Qt6/plugins/platforms/libqxcb.so")')
    [ -e "$plugin" ] || return 0
    missing=$(ldd "$plugin" | awk '/not found/ {print $1}' | sort -u | tr '\n' ' ')
    [ -z "$missing" ] || fail "Qt misses these shared libraries; install the packages that hold them: $missing"
}

if [ "$(uname)" = Linux ] && on_debian; then
    ensure_packages "${debian_packages[@]}"
    # A desktop has a screen already: do not ask its user for a virtual one.
    [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || ensure_packages xvfb xauth
fi
make_venv
echo "setup: installing napari-pvpu and its dependencies into $venv (a few minutes the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[test]'
if [ "$(uname)" = Linux ] && ! on_debian; then
    check_libraries
fi
