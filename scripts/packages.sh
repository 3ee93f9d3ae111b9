# Debian packages and small helpers of the scripts; to be sourced from the repository's root.
# shellcheck shell=bash disable=SC2034

readonly BUILD_PACKAGES=(
  cmake ninja-build g++ ccache
  libdnnl-dev nlohmann-json3-dev libstb-dev libjpeg62-turbo-dev libfmt-dev libcli11-dev)
# LibTorch, torchvision, numpy and jsonschema are what the tests compare with; affuse itself needs
# none of them.
readonly TEST_PACKAGES=(
  libgtest-dev libfiu-dev libtorch-dev python3-torchvision python3-numpy python3-pil
  python3-jsonschema libopenmpi-dev openmpi-bin)

# fail STATUS LINE...: says why on stderr and ends the script.
fail() {
  local status=$1
  shift
  printf '%s\n' "$@" >&2
  exit "$status"
}

# quietly WHAT COMMAND...: runs a command with its output in a log; shows the log's end if it fails.
quietly() {
  local what=$1 log
  shift
  mkdir -p build
  log="build/${what// /-}.log"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    fail 1 "$(basename "$0"): $what failed; all of its output is in $log"
  fi
}

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need PACKAGE...: installs what is missing as root, or names it and ends with status 2.
need() {
  local missing=() package
  command -v dpkg-query >/dev/null ||
    fail 2 "$(basename "$0"): needs Debian 12 (dpkg and apt-get), with these packages:" "  $*"
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local command="apt-get install --no-install-recommends ${missing[*]}"
  [ "$(id -u)" -eq 0 ] ||
    fail 2 "$(basename "$0"): packages are missing. Install them with:" "  sudo apt-get update && sudo $command"
  echo "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly "apt update" apt-get update
  quietly "apt install" apt-get install -y --no-install-recommends "${missing[@]}"
}

# clock SECONDS: "2:05".
clock() {
  printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}
