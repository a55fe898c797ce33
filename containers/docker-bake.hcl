# docker buildx bake -f containers/docker-bake.hcl [n150 | n150-slim | pi | pi-torch | jetson | edgebench]
# Without buildx: docker build -f containers/PLATFORM/Dockerfile -t edgebench-PLATFORM .
# Without them the Dockerfiles' own words. REVISION=$(git rev-parse HEAD) docker buildx bake …
variable "VERSION" { default = null }
variable "REVISION" { default = null }
variable "TAG" { default = "latest" }
# Of a registry, as in ghcr.io/edgebench/
variable "PREFIX" { default = "" }
variable "EDGEBENCH_TORCH_INDEX" { default = "" }
# Secrets of the build, by file; both may be left out.
variable "PIP_CONF" { default = "/dev/null" }
variable "CA_BUNDLE" { default = "/dev/null" }

group "default" { targets = ["n150", "pi", "jetson"] }

target "_common" {
  context = "."
  args = {
    VERSION = VERSION
    REVISION = REVISION
  }
  secret = ["id=pip_conf,src=${PIP_CONF}", "id=ca_bundle,src=${CA_BUNDLE}"]
}

target "n150" {
  inherits = ["_common"]
  dockerfile = "containers/n150/Dockerfile"
  platforms = ["linux/amd64"]
  args = { EDGEBENCH_TORCH_INDEX = EDGEBENCH_TORCH_INDEX }
  tags = ["${PREFIX}edgebench-n150:${TAG}"]
}

# Without torch: for bundles that were prepared elsewhere.
target "n150-slim" {
  inherits = ["n150"]
  args = { PACKAGES = "constraints-slim.txt" }
  tags = ["${PREFIX}edgebench-n150:${TAG}-slim"]
}

# What trains the models that the boards' images bring along is the n150 image of the same build.
target "_board" {
  inherits = ["_common"]
  contexts = { edgebench-n150 = "target:n150" }
  platforms = ["linux/arm64"]
}

target "pi" {
  inherits = ["_board"]
  dockerfile = "containers/pi/Dockerfile"
  tags = ["${PREFIX}edgebench-pi:${TAG}"]
}

target "pi-torch" {
  inherits = ["pi"]
  args = { PACKAGES = "constraints-torch.txt", BUNDLE_PLATFORM = "any" }
  tags = ["${PREFIX}edgebench-pi:${TAG}-torch"]
}

target "jetson" {
  inherits = ["_board"]
  dockerfile = "containers/jetson/Dockerfile"
  tags = ["${PREFIX}edgebench-jetson:${TAG}"]
}

# One name for both processors: a list of the two images above.
target "edgebench" {
  inherits = ["_common"]
  dockerfile = "containers/edgebench/Dockerfile"
  contexts = {
    edgebench-n150 = "target:n150"
    edgebench-pi = "target:pi"
  }
  platforms = ["linux/amd64", "linux/arm64"]
  tags = ["${PREFIX}edgebench:${TAG}"]
}
