#!/usr/bin/env bash
# Runs each Fuzz function of the module in the working directory for FUZZTIME.
# go test writes what it finds to the package's testdata/fuzz: commit it with the fix.
set -euo pipefail

# go test -list prints the names in a package, then the package.
targets=$(go test -list '^Fuzz' ./... | awk '
	/^Fuzz/ { names[n++] = $1 }
	/^ok/   { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }')

while read -r package name; do
	[[ -n $package ]] || continue
	echo "== $package $name"
	go test -run=NONE -fuzz="^$name\$" -fuzztime="${FUZZTIME:-20s}" "$package" </dev/null
done <<<"$targets"
