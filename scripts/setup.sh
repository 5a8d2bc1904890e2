#!/usr/bin/env bash
# Installs what the tests need and the machine lacks, on Debian and its
# derivatives. It does not install Go: the versions that distributions package are too old.
set -euo pipefail

command -v go >/dev/null || {
	echo "setup: Go is missing; go.mod names the version" >&2
	exit 1
}

packages=()

# compiles reports whether there are a C compiler and the C library's headers; the
# race detector needs both.
compiles() { echo '#include <stdlib.h>' | $(go env CC) -E - >/dev/null 2>&1; }

command -v make >/dev/null || packages+=(make)
[[ $(go env GOHOSTOS) != linux ]] || compiles || packages+=(gcc libc6-dev)
command -v redis-server >/dev/null || packages+=(redis-server)
command -v redis-sentinel >/dev/null || packages+=(redis-sentinel)
browsers=(chromium chromium-browser google-chrome google-chrome-stable) # any of them; e2e knows the same
command -v "${browsers[@]}" >/dev/null || packages+=(chromium)

# promtool is in the package of the Prometheus server, which is unpacked and not
# installed: an installed server would start.
promtool=
command -v promtool >/dev/null || promtool=promtool

missing="${packages[*]-} $promtool"
[[ $missing != " " ]] || exit 0

command -v apt-get >/dev/null || {
	echo "setup: no apt-get to install what is missing: $missing" >&2
	exit 1
}
echo "setup: installing $missing"
root=()
[[ $(id -u) -eq 0 ]] || root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
[[ ${#packages[@]} -eq 0 ]] ||
	"${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
for server in redis-server redis-sentinel; do # the tests start their own
	if [[ " ${packages[*]-} " == *" $server "* ]] && command -v systemctl >/dev/null; then
		"${root[@]}" systemctl disable --quiet --now "$server" || true # systemd may not run
	fi
done

if [[ -n $promtool ]]; then
	download=$(mktemp -d)
	trap 'rm -rf "$download"' EXIT
	(cd "$download" && apt-get download -qq -o APT::Sandbox::User=root prometheus)
	dpkg-deb --fsys-tarfile "$download"/prometheus_*.deb |
		"${root[@]}" tar -x -C /usr/local/bin --no-same-owner --strip-components=3 ./usr/bin/promtool
fi
