#!/bin/sh
# The steps that the Dockerfiles share, each run as `sh /steps.sh STEP ...` from a mount: it is in no layer.
set -eu

# Python, and what the threads of llama.cpp wait for each other with. A base that has both needs no package archive.
python() {
  if ! command -v python3 >/dev/null || ! ldconfig -p | grep -q "libgomp.so.1 " || [ -n "$*" ]; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 libgomp1 "$@"
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/*
  fi
}

# What collects packages; a stage of its own throws it away.
tools() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pip ca-certificates
}

# What compiles llama.cpp for a processor, this one or another: compilers MACHINE.
compilers() {
  cross=
  if [ "$(uname -m)" != "$1" ]; then cross="-$(echo "$1" | tr _ -)-linux-gnu"; fi
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends cmake ninja-build "g++$cross"
}

# Run a command with the build's secrets for pip and the wheels that are preferred to the index.
with_index() {
  if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
  if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi
  export PIP_CACHE_DIR=/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_COMPILE=1
  "$@"
}

# llama.cpp and its module for Python, compiled from the pinned source into a wheel in /compiled: llama MACHINE.
llama() {
  mkdir /compiled
  if cp /wheels/llama_cpp_python-*_"$1".whl /compiled 2>/dev/null; then return; fi
  tools_of_builds
  CMAKE_ARGS="-DCMAKE_PROJECT_INCLUDE=$PWD/llama.cmake"
  if [ "$(uname -m)" != "$1" ]; then
    export _PYTHON_HOST_PLATFORM="linux-$1"
    CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$1"
    CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_C_COMPILER=$1-linux-gnu-gcc -DCMAKE_CXX_COMPILER=$1-linux-gnu-g++"
  fi
  CMAKE_BUILD_PARALLEL_LEVEL=$(nproc)
  export CMAKE_ARGS CMAKE_BUILD_PARALLEL_LEVEL
  # pip keeps what it compiled under the source's name, whatever it was compiled for.
  pip wheel --no-cache-dir --no-deps --no-build-isolation --no-binary=llama-cpp-python --require-hashes \
    --requirement=llama.txt --wheel-dir=/compiled
}

# Collect the pinned packages for an x86-64 board: native LOCK.
native() {
  locked "$1" x86_64 python3 install.py --pip --target=/opt/edgebench/lib || {
    echo "if it is torch whose digest differs: the index of its CPU build was not reached; name one with" \
      "EDGEBENCH_TORCH_INDEX, or put the wheel into containers/wheels" >&2
    return 1
  }
  compiled pip install --target=/opt/edgebench/lib
  lean
}

# Collect the pinned packages for an arm64 board, whichever processor builds: arm64 LOCK.
arm64() {
  lock=$1
  set -- pip install --target=/opt/edgebench/lib --only-binary=:all: --platform=linux_aarch64 \
    --platform=manylinux_2_31_aarch64 --platform=manylinux_2_28_aarch64 --platform=manylinux_2_27_aarch64 \
    --platform=manylinux_2_17_aarch64 --platform=manylinux2014_aarch64
  locked "$lock" aarch64 "$@"
  compiled "$@"
  lean
}

# Install what an earlier stage compiled, where there was one: compiled PIP...
compiled() {
  if [ -d /compiled ]; then "$@" --no-deps --no-index /compiled/*.whl; fi
}

# Install a lock, locked LOCK MACHINE PIP...: what the builder's own folder has wheels of from there, whatever their
# digests; the rest from the index, by its digests.
locked() {
  split "$1" "$2" /wheels /tmp/own.txt /tmp/rest.txt
  shift 2
  # torch that is there already needs no index of its own.
  if grep -q "^torch==" /tmp/own.txt; then export EDGEBENCH_TORCH_INDEX=none; fi
  if [ -s /tmp/own.txt ]; then "$@" --no-deps --no-index --find-links=/wheels --requirement=/tmp/own.txt; fi
  if [ -s /tmp/rest.txt ]; then "$@" --no-deps --require-hashes --requirement=/tmp/rest.txt; fi
}

# Split a lock in two, split LOCK MACHINE FOLDER OWN REST: what the folder has wheels of for that machine, and the rest.
split() {
  python3 - "$@" <<'END'
import pathlib, re, sys

lock, machine, folder, own, rest = sys.argv[1:]
pins = {}
for pin in re.findall(r"^\S+==\S+(?: \\\n +--hash=\S+)+\n", pathlib.Path(lock).read_text(), re.MULTILINE):
    pins[pin.split()[0]] = pin
there = set()
for wheel in pathlib.Path(folder).glob("*.whl"):
    name, version = wheel.name.split("-")[:2]
    if wheel.stem.endswith(("-any", machine)):
        there.add(re.sub("[-_.]+", "-", name).lower() + "==" + version.partition("+")[0])
pathlib.Path(own).write_text("".join(f"{name}\n" for name in pins if name in there))
pathlib.Path(rest).write_text("".join(pin for name, pin in pins.items() if name not in there))
END
}

# What makes packages of sources, pinned too; the stage of the build keeps it to itself.
tools_of_builds() {
  locked build.txt any pip install
}

# What no measurement reads: other packages' programs, own tests, headers and stubs.
lean() {
  cd /opt/edgebench/lib
  rm -rf bin torch/test torch/share onnx/backend/test/data openvino/include \
    llama_cpp/server llama_cpp/include llama_cpp/lib/cmake llama_cpp/lib/pkgconfig
  find . -type d -name tests -prune -exec rm -rf {} +
  find . -type f -regex '.*\.\(a\|pyi\|pyx\|pxd\)' -delete
  find torch/bin -type f ! -name torch_shm_manager -delete 2>/dev/null || true
  # Without a compiler nobody reads the headers. SciPy imports all of NumPy, also its parts for Fortran and builds.
  if ! command -v g++ >/dev/null; then
    rm -rf torch/include
    find . -type f -regex '.*\.\(h\|hpp\)' -delete
  fi
  [ -e scipy ] || rm -rf numpy/f2py numpy/distutils
  # The languages that Pygments can colour; ONNX Runtime's library for programs in C, which its module for Python has
  # within itself; graphics units and accelerators, which no backend here uses.
  find pygments/lexers -type f ! -name '__init__.*' ! -name '_mapping.*' -delete
  rm -rf onnxruntime/capi/libonnxruntime.so.* ai_edge_litert/libLiteRtWebGpuAccelerator.so \
    ai_edge_litert/tools/apply_plugin_main ai_edge_litert/vendors \
    openvino/libs/libopenvino_intel_gpu_plugin.so openvino/libs/libopenvino_intel_npu_* openvino/libs/cache.json
  cd - >/dev/null
  fixed lib
}

# Make a folder of /opt/edgebench the same in every build of the same files: byte code that names no time, and no times.
fixed() {
  python3 -m compileall -q -f --invalidation-mode unchecked-hash "/opt/edgebench/$1" || true
  find "/opt/edgebench/$1" -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +
}

# edgebench itself, from the source in the working folder.
own() {
  tools_of_builds
  SETUPTOOLS_SCM_PRETEND_VERSION_FOR_EDGEBENCH=$VERSION \
    pip install --target=/opt/edgebench/own --no-deps --no-build-isolation .
  mkdir -p /opt/edgebench/bin
  mv /opt/edgebench/own/bin/edgebench /opt/edgebench/bin/
  rm -r /opt/edgebench/own/bin
  fixed own
  fixed bin
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
  python3 -c "import numpy, pydantic_core, psutil, onnxruntime
from importlib.util import find_spec
for name in ('torch', 'nncf', 'openvino', 'ai_edge_litert.interpreter', 'onnx', 'llama_cpp'):
    find_spec(name.partition('.')[0]) and __import__(name)"
  edgebench --version
}

# What the report calls the image's digest where nobody told the container its own: over the files installed here.
digest() {
  cd /opt/edgebench
  find . -type f ! -name "*.pyc" -print0 | sort -z | xargs -0 sha256sum | sha256sum | sed "s/^/sha256:/; s/ .*//" >digest
}

"$@"
