#!/usr/bin/env bash
# Installs what the tests need and the machine lacks, on Debian and its kin.
# Go itself is not installed: distributions are rarely recent enough.
set -euo pipefail

command -v go >/dev/null || {
	echo "setup: Go is missing; go.mod says which version is needed" >&2
	exit 1
}

packages=()

# compiles reports whether the C compiler and the C library's headers are there;
# the race detector needs both.
compiles() { echo '#include <stdlib.h>' | $(go env CC) -E - >/dev/null 2>&1; }

command -v make >/dev/null || packages+=(make)
[[ $(go env GOHOSTOS) != linux ]] || compiles || packages+=(gcc libc6-dev)
# The next one goes here, such as:
# command -v redis-server >/dev/null || packages+=(redis-server)

[[ ${#packages[@]} -gt 0 ]] || exit 0

command -v apt-get >/dev/null || {
	echo "setup: missing, and no apt-get to install it: ${packages[*]}" >&2
	exit 1
}
echo "setup: installing ${packages[*]}"
root=()
[[ $(id -u) -eq 0 ]] || root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
"${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
