#!/usr/bin/env bash
# Run all tests: those that work in windows in one process, the others beside them in a second one. With arguments for
# pytest, run what they ask for in one process.
# usage: run_tests.sh [PYTEST ARGUMENTS...]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON_IN_VENV:-.venv/bin/python}
export NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1

# Both kinds need a screen; each process gets one of its own, so that neither takes the keyboard from the other.
pytest() { scripts/with_display.sh virtual "$PYTHON" -m pytest "$@"; }

if [ $# -gt 0 ]; then
    pytest "$@"
    exit
fi

# Threads of two processes on the same cores would only wait for each other.
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > 2 ? cores / 2 : 1))}
log=$(mktemp -d)
pytest tests/gui >"$log/windows" 2>&1 &
windows=$!
trap 'kill "$windows" 2>/dev/null || true; rm -rf "$log"' EXIT

failed=0
pytest --ignore=tests/gui 2>&1 | tee "$log/others" || failed=1
echo 'Waiting for the tests in windows (tests/gui).'
wait "$windows" || failed=1
cat "$log/windows"

# One closing line for both, as pytest writes it.
tail -qn 1 "$log/others" "$log/windows" | awk '
    /(passed|failed|error)/ {
        for (i = 1; i < NF; i++) if ($i ~ /^[0-9]+$/) {
            kind = $(i + 1); sub(/,$/, "", kind); sub(/errors/, "error", kind)
            if (!(kind in count)) kinds[++n] = kind
            count[kind] += $i
        } else if ($i == "in" && $(i + 1) + 0 > seconds) seconds = $(i + 1) + 0
    }
    END {
        for (k = 1; k <= n; k++) line = line (k > 1 ? ", " : "") count[kinds[k]] " " kinds[k]
        printf "== %s in %.2fs ==\n", line, seconds
    }'
exit "$failed"
