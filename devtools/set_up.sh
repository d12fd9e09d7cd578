#!/bin/sh
# Makes a virtual environment with everything in it. Run by make; may be run again at any time.
#
#     devtools/set_up.sh .venv [PYTHON]
#
# PYTHON is the interpreter to use. Without it the first of python3.12, 3.13, 3.11, python3 and python that works
# and is of a version we support; a pyenv shim of a version that isn't selected exists but does not work.
set -eu

venv=$1
asked_for=${2-}
engine=tests/integration/worker_engine_requirements.txt

refuse() {
    echo "headframe: $1" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none
}

supported() {
    case $(version_of "$1") in 3.11 | 3.12 | 3.13) return 0 ;; esac
    return 1
}

find_python() {
    if [ -n "$asked_for" ]; then
        supported "$asked_for" || refuse "PYTHON=$asked_for: found version $(version_of "$asked_for"), allowed: 3.11, 3.12, 3.13"
        echo "$asked_for"
        return
    fi
    for candidate in python3.12 python3.13 python3.11 python3 python; do
        if supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    refuse "Python: found python3 of version $(version_of python3), allowed: 3.11, 3.12, 3.13; install one or say make PYTHON=/path/to/it"
}

make_venv() {
    python=$(find_python) || exit 1
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "$python: found no ensurepip, allowed: a Python with it (Debian, Ubuntu: apt install python$(version_of "$python")-venv)"
    echo "making $venv with $python ($(version_of "$python"))"
    "$python" -m venv --clear "$venv"
}

locked_uv() {
    sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock
}

supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
if [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" != "$(locked_uv)" ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$(locked_uv)"
fi
echo "installing what uv.lock names"
UV_PROJECT_ENVIRONMENT=$venv UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV='' \
    "$venv/bin/uv" sync --quiet --frozen --all-extras --inexact --compile-bytecode --python "$venv/bin/python"
if [ -f "$engine" ]; then
    # Its metadata refuses Python below 3.13, but it runs there: uv would not install it.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --ignore-requires-python --require-hashes -r "$engine"
fi
touch "$venv/ready"
