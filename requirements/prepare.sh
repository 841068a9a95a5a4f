#!/bin/sh
# Prepares .venv for make (dependencies.md 4): prepare.sh runtime|dev
#
# Finds a Python of 3.11 or newer, makes .venv with uv when uv works, else with venv and pip, installs the hashed
# requirements of that set, the build tools, then edoc itself without build isolation (an isolated build would fetch
# its tools unhashed, and fails without network). A stamp with the hash of all of it makes the next call instant.
# PYTHON=... names the interpreter, WHEELHOUSE=dir installs from that folder alone, without network.
set -eu
cd "$(dirname "$0")/.."

set_name=${1:?runtime or dev}
requirements=requirements/$set_name.txt
venv=.venv
VENV_PYTHON=$venv/bin/python
OLD_ENOUGH='import sys; sys.exit(sys.version_info < (3, 11))'

fail() { # Vietnamese, English
    printf 'edoc: %s\nedoc: %s\n' "$1" "$2" >&2
    exit 6
}

works() { "$1" -c "$OLD_ENOUGH" >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        works "$PYTHON" && { printf '%s' "$PYTHON"; return 0; }
        return 1
    fi
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        works "$name" && { printf '%s' "$name"; return 0; }
    done
    return 1
}

fingerprint() {
    "$VENV_PYTHON" - "$requirements" requirements/build.txt pyproject.toml <<'PY'
import hashlib
import os
import sys

digest = hashlib.sha256(repr((sys.version_info, sys.prefix, os.getcwd())).encode())
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        digest.update(file.read())
print(digest.hexdigest())
PY
}

stamp=$venv/.edoc-$set_name
if { [ -z "${PYTHON:-}" ] || works "$PYTHON"; } && [ -x "$VENV_PYTHON" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
    exit 0
fi

python=$(find_python) || fail \
    "cần Python 3.11 trở lên: cài gói python3 (ví dụ: apt-get install python3 python3-venv), hoặc chỉ rõ: make PYTHON=/duong/dan/python3" \
    "Python 3.11 or newer is needed: install the package python3 (for example: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3"
if [ "$set_name" = none ]; then
    printf '%s\n' "$python"
    exit 0
fi

echo "edoc: chuẩn bị $venv từ $requirements / preparing $venv from $requirements" >&2
offline=
if [ -n "${WHEELHOUSE:-}" ]; then
    [ -d "$WHEELHOUSE" ] || fail "không có thư mục WHEELHOUSE=$WHEELHOUSE" "there is no folder WHEELHOUSE=$WHEELHOUSE"
    offline="--no-index --find-links"
fi

if [ "${NO_UV:-}" != 1 ] && uv --version >/dev/null 2>&1; then
    export UV_PYTHON_DOWNLOADS=never
    works "$VENV_PYTHON" || uv venv --quiet --clear --python "$python" "$venv"
    install() { uv pip install --quiet --python "$VENV_PYTHON" --compile-bytecode ${offline:+$offline "$WHEELHOUSE"} "$@"; }
else
    if ! works "$VENV_PYTHON" || ! "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || fail \
            "Python này thiếu mô-đun venv: cài gói python3-venv (Debian, Ubuntu: apt-get install python3-venv)" \
            "this Python lacks the module venv: install the package python3-venv (Debian, Ubuntu: apt-get install python3-venv)"
        "$python" -m venv --clear "$venv"
    fi
    install() { "$VENV_PYTHON" -m pip install --quiet --disable-pip-version-check ${offline:+$offline "$WHEELHOUSE"} "$@"; }
fi
: >"$venv/.edoc-made"
install --require-hashes -r "$requirements"
install --require-hashes -r requirements/build.txt
install --no-build-isolation --no-deps -e .
fingerprint >"$stamp"
