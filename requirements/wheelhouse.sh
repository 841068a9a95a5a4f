#!/bin/sh
# Collects every package of the hashed requirements in one folder, for installing without network.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-wheelhouse}
python=$(PYTHON="${PYTHON:-}" sh requirements/prepare.sh none)
mkdir -p "$folder"
for name in runtime all dev build; do
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r "requirements/$name.txt" -d "$folder"
done
echo "edoc: make WHEELHOUSE=$folder test" >&2
