#!/bin/sh
# Runs the test suite on every supported Python that this machine has. Run by `make test-all`.
set -u

find_python() {
    for candidate in "python$1" "$HOME/.pyenv/versions/$1".*/bin/python "$(.venv/bin/uv python find --no-python-downloads "$1" 2>/dev/null)"; do
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            echo "$candidate"
            return
        fi
    done
}

results=""
status=0
for version in 3.11 3.12 3.13; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        results="$results\n$version  not found"
        continue
    fi
    echo "== Python $version: $python"
    if devtools/set_up.sh ".venv-$version" "$python" && ".venv-$version/bin/pytest" "$@"; then
        results="$results\n$version  passed  $python"
    else
        results="$results\n$version  FAILED  $python"
        status=1
    fi
done
printf '%b\n' "$results"
case $results in *passed*) exit $status ;; esac
exit 1
