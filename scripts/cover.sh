#!/usr/bin/env bash
# Prints the statement coverage of each package of the root module, and of the
# library as a whole: root, internal/ and telnyx/, without the packages that help
# tests. A statement counts as covered whichever package's test runs it.
set -euo pipefail

module=$(go list -m)
packages=$(go list ./... | grep -Ev "^$module/(examples|scripts)/" | paste -sd, -)
go test -count=1 -timeout=8m -covermode=atomic -coverprofile=coverage.out -coverpkg="$packages" ./... |
	sed 's/\tcoverage: .*//' # each is of all packages by the tests of one: it says little

# Each test binary reports each block: a line is file:block statements hits.
awk -v module="$module" '
	NR == 1 { next }
	{ statements[$1] = $2; hits[$1] += $3 }
	END {
		for (block in statements) {
			package = block
			sub("/[^/]*$", "", package)
			library = package !~ /test$/
			total[package] += statements[block]
			if (library) all += statements[block]
			if (!hits[block]) continue
			covered[package] += statements[block]
			if (library) sum += statements[block]
		}
		sort = "sort -k2"
		for (package in total)
			printf "%5.1f %%  %s\n", 100 * covered[package] / total[package], package | sort
		close(sort)
		if (all) printf "%5.1f %%  the library\n", 100 * sum / all
	}' coverage.out
echo "go tool cover -html=coverage.out shows the lines."
