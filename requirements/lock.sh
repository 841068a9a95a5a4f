#!/bin/sh
# Rewrites the hashed requirements for all platforms. No URL and no index line ever enters them (dependencies.md 3).
set -eu
cd "$(dirname "$0")/.."
uv --version >/dev/null 2>&1 || {
    echo "edoc: make lock cần uv / make lock needs uv" >&2
    exit 6
}
compile() { # output, inputs
    output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --output-file "requirements/$output" "$@"
}
compile runtime.txt pyproject.toml
compile all.txt pyproject.toml --all-extras
compile dev.txt pyproject.toml requirements/dev.in --all-extras
compile build.txt requirements/build.in
