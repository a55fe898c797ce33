#!/bin/sh
# Write the bill of materials of an image in CycloneDX: Debian's packages and Python's.
#   containers/sbom.sh IMAGE FOLDER      (needs: pip install debsbom cyclonedx-bom)
# Only reads the image's files, so it works for an image of another architecture too.
set -eu
image=$1 folder=$2
mkdir -p "$folder"
scratch=$(mktemp -d)
container=$(docker create "$image")
trap 'docker rm --volumes "$container" >/dev/null; rm -rf "$scratch"' EXIT
mkdir "$scratch/root"
docker export "$container" | tar -x -C "$scratch/root" --exclude='dev/*' --exclude='proc/*' \
  etc var/lib/dpkg usr/share/doc opt/edgebench 2>/dev/null || test -d "$scratch/root/opt/edgebench"
debsbom generate --root "$scratch/root" --sbom-type cdx --with-licenses --out "$folder/debian" >/dev/null
# An interpreter that sees the image's packages and nothing else.
python3 -m venv --without-pip "$scratch/venv"
site=$("$scratch/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$scratch/root/opt/edgebench/own" "$scratch/root/opt/edgebench/lib" > "$site/image.pth"
cyclonedx-py environment --output-file "$folder/python.cdx.json" "$scratch/venv/bin/python"
