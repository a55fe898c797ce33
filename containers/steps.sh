#!/bin/sh
# The steps that the Dockerfiles share, each run as `sh /steps.sh STEP ...` from a mount: it is in no layer.
set -eu

# A base that has Python already needs no package archive.
python() {
  if ! command -v python3 >/dev/null || [ -n "$*" ]; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 "$@"
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*
  fi
}

# What collects packages; a stage of its own throws it away.
tools() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pip ca-certificates
}

# Run a command with the build's secrets for pip and the wheels that are preferred to the index.
with_index() {
  if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
  if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi
  export PIP_FIND_LINKS=/wheels PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_BREAK_SYSTEM_PACKAGES=1
  "$@"
}

# Collect the pinned packages for an arm64 board, whichever processor builds.
arm64() {
  pip install --target=/opt/edgebench/lib --no-deps --only-binary=:all: \
    --platform=manylinux_2_31_aarch64 --platform=manylinux_2_28_aarch64 --platform=manylinux_2_27_aarch64 \
    --platform=manylinux_2_17_aarch64 --platform=manylinux2014_aarch64 "$@"
  lean
}

# Other packages' programs and own tests, which nothing that runs here reads.
lean() {
  rm -rf /opt/edgebench/lib/bin
  find /opt/edgebench/lib -type d -name tests -prune -exec rm -rf {} +
}

# edgebench itself, from the source in the working folder.
own() {
  SETUPTOOLS_SCM_PRETEND_VERSION_FOR_EDGEBENCH=${VERSION:-} \
    pip install --target=/opt/edgebench/own --no-deps .
  mkdir -p /opt/edgebench/bin
  mv /opt/edgebench/own/bin/edgebench /opt/edgebench/bin/
  rm -r /opt/edgebench/own/bin
}

# The bundles of a board's image, made in the image of the workstation: prepare PLATFORM SUITE...
# /artifacts is a cache of the builder: two boards' images that are made by one workstation train each model once.
prepare() {
  platform=$1
  shift
  EDGEBENCH_CACHE=/artifacts/$(cut -d: -f2 /opt/edgebench/digest)
  export EDGEBENCH_CACHE
  find /artifacts -mindepth 1 -maxdepth 1 ! -path "$EDGEBENCH_CACHE" -exec rm -rf {} +
  mkdir /bundles
  for suite; do edgebench prepare "$suite" --platform "$platform" -o "/bundles/$suite"; done
}

# The end of an image: the folder that takes a volume, and everything can be loaded.
ready() {
  mkdir -m 1777 /cache
  python3 -c "import numpy, pydantic_core, psutil, onnxruntime"
  edgebench --version
}

# What the report calls the image's digest where nobody told the container its own: over the files installed here.
digest() {
  cd /opt/edgebench
  find . -type f ! -name "*.pyc" -print0 | sort -z | xargs -0 sha256sum | sha256sum | sed "s/^/sha256:/; s/ .*//" >digest
}

"$@"
