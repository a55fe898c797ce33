#!/bin/sh
# Print every package of an image, pinned as pip resolves the platform's extra of pyproject.toml today:
#   containers/lock.sh pi > containers/pi/constraints.txt
#   containers/lock.sh pi-torch > containers/pi/constraints-torch.txt
set -eu
cd "$(dirname "$0")/.."
pip="python3 -m pip install --quiet --dry-run --ignore-installed --report=-"
arm64="--only-binary=:all: --platform=manylinux_2_31_aarch64 --platform=manylinux_2_28_aarch64
  --platform=manylinux_2_27_aarch64 --platform=manylinux_2_17_aarch64 --platform=manylinux2014_aarch64 --target=/nowhere"
case "$1" in
  n150) $pip ".[n150]" ;;
  pi) $pip $arm64 --python-version=3.11 ".[pi]" ;;
  # The last release whose build for arm64 is without CUDA.
  pi-torch) $pip $arm64 --python-version=3.11 ".[pi]" torch==2.10.0 torchvision==0.25.0 torch-pruning==1.6.1 ;;
  jetson)
    # jetson-stats comes as source only; it is plain Python, and a wheel made here fits everywhere.
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' EXIT
    python3 -m pip wheel --quiet --no-deps --wheel-dir="$wheels" "jetson-stats>=7.2,<8"
    $pip $arm64 --find-links="$wheels" --python-version=3.12 ".[jetson]" ;;
  *) echo "usage: containers/lock.sh n150|pi|pi-torch|jetson" >&2; exit 2 ;;
esac | python3 -c '
import json, sys
print("# Every package of the image, pinned: containers/lock.sh writes it.")
for name, version in sorted((i["metadata"]["name"].lower().replace("_", "-"), i["metadata"]["version"])
                            for i in json.load(sys.stdin)["install"]):
    # pip reads "only on x86-64" as for this machine: CUDA is none of an arm64 board that has no GPU.
    if name != "edgebench" and not ("'"$1"'" == "pi-torch" and name.startswith(("nvidia-", "cuda-", "triton"))):
        print(f"{name}=={version.partition(chr(43))[0]}")'
