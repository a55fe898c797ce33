#!/bin/sh
# The steps that the Dockerfiles share, each run as `sh /steps.sh STEP ...` from a mount: it is in no layer.
set -eu

# A base that has Python already needs no package archive.
python() {
  if ! command -v python3 >/dev/null || [ -n "$*" ]; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 "$@"
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/*
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
  export PIP_FIND_LINKS=/wheels PIP_CACHE_DIR=/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_COMPILE=1
  "$@"
}

# Collect the pinned packages for an x86-64 board: native LOCK.
native() {
  pinned "$1" /wheels >/tmp/pinned.txt
  python3 install.py --pip --target=/opt/edgebench/lib --no-deps --require-hashes --requirement=/tmp/pinned.txt || {
    echo "if it is torch whose digest differs: the index of its CPU build was not reached; name one with" \
      "EDGEBENCH_TORCH_INDEX, or put the wheel into containers/wheels" >&2
    return 1
  }
  lean
}

# Collect the pinned packages for an arm64 board, whichever processor builds: arm64 LOCK [SOURCE...]. Of the packages
# SOURCE there is only the source; they are plain Python, and a wheel made here fits everywhere.
arm64() {
  lock=$1
  shift
  if [ -n "$*" ]; then tools_of_builds; fi
  for name; do
    sed -n "/^$name==/,/[^\\]\$/p" "$lock" >/tmp/source.txt
    pip wheel --no-deps --require-hashes --no-build-isolation --wheel-dir=/tmp/wheels --requirement=/tmp/source.txt
  done
  pinned "$lock" /wheels /tmp/wheels >/tmp/pinned.txt
  pip install --target=/opt/edgebench/lib --no-deps --only-binary=:all: --find-links=/tmp/wheels \
    --platform=manylinux_2_31_aarch64 --platform=manylinux_2_28_aarch64 --platform=manylinux_2_27_aarch64 \
    --platform=manylinux_2_17_aarch64 --platform=manylinux2014_aarch64 --require-hashes --requirement=/tmp/pinned.txt
  lean
}

# Print a lock as it is installed, pinned LOCK FOLDER...: of what there is a wheel of in one of the folders, which are
# the builder's own, that wheel's digest stands in the place of the index's.
pinned() {
  python3 - "$@" <<'END'
import hashlib, pathlib, re, sys

lock = pathlib.Path(sys.argv[1]).read_text()
digests = {}
for folder in sys.argv[2:]:
    for wheel in sorted(pathlib.Path(folder).glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        pin = re.sub("[-_.]+", "-", name).lower() + "==" + version.partition("+")[0]
        digests.setdefault(pin, []).append(f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
for pin, own in digests.items():
    lock = re.sub(rf"^{re.escape(pin)}( \\\n +--hash=\S+)+$", " ".join([pin, *own]), lock, flags=re.MULTILINE)
sys.stdout.write(lock)
END
}

# What makes packages of sources, pinned too; the stage of the build keeps it to itself.
tools_of_builds() {
  pip install --no-deps --require-hashes --requirement=build.txt
}

# What no measurement reads: other packages' programs, own tests, headers and stubs.
lean() {
  cd /opt/edgebench/lib
  rm -rf bin torch/test torch/share onnx/backend/test/data numpy/distutils numpy/f2py openvino/include
  find . -type d -name tests -prune -exec rm -rf {} +
  find . -path ./torch -prune -o -type f -regex '.*\.\(h\|hpp\|a\|pyi\|pyx\|pxd\)' -exec rm {} +
  find torch/bin -type f ! -name torch_shm_manager -delete 2>/dev/null || true
  # Without a compiler nobody reads them.
  if ! command -v g++ >/dev/null; then rm -rf torch/include; fi
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
  python3 -c "import numpy, pydantic_core, psutil, onnxruntime"
  edgebench --version
}

# What the report calls the image's digest where nobody told the container its own: over the files installed here.
digest() {
  cd /opt/edgebench
  find . -type f ! -name "*.pyc" -print0 | sort -z | xargs -0 sha256sum | sha256sum | sed "s/^/sha256:/; s/ .*//" >digest
}

"$@"
