#!/bin/sh
# Print every package of an image, pinned as pip resolves the platform's extra of pyproject.toml today:
#   containers/lock.sh pi > containers/pi/constraints.txt
set -eu
cd "$(dirname "$0")/.."
pip="python3 -m pip install --quiet --dry-run --ignore-installed --report=-"
arm64="--only-binary=:all: --platform=manylinux_2_31_aarch64 --platform=manylinux_2_28_aarch64
  --platform=manylinux_2_27_aarch64 --platform=manylinux_2_17_aarch64 --platform=manylinux2014_aarch64 --target=/nowhere"
case "$1" in
  n150) $pip ".[n150]" ;;
  pi) $pip $arm64 --python-version=3.11 ".[pi]" ;;
  jetson)
    # jetson-stats comes as source only; it is plain Python, and a wheel made here fits everywhere.
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' EXIT
    python3 -m pip wheel --quiet --no-deps --wheel-dir="$wheels" "jetson-stats>=7.2,<8"
    $pip $arm64 --find-links="$wheels" --python-version=3.12 ".[jetson]" ;;
  *) echo "usage: containers/lock.sh n150|pi|jetson" >&2; exit 2 ;;
esac | python3 -c '
import json, sys
print("# Every package of the image, pinned: containers/lock.sh writes it.")
for name, version in sorted((i["metadata"]["name"].lower().replace("_", "-"), i["metadata"]["version"])
                            for i in json.load(sys.stdin)["install"]):
    if name != "edgebench":
        print(f"{name}=={version.partition(chr(43))[0]}")'
