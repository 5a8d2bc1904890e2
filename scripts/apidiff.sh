#!/usr/bin/env bash
# Compares the exported API of the module in the working directory with the
# module's newest tag, and fails on an incompatible change. Before the first tag
# it compares nothing and says so.
#
# To accept an incompatible change, add the line that this script prints for it to
# scripts/apidiff.txt. Delete the file once the next version is tagged.
set -euo pipefail

apidiff=${APIDIFF:?run this with make apidiff}
top=$(git rev-parse --show-toplevel)
dir=$(git rev-parse --show-prefix) # "" or "extra/redisstore/"

# Sorts v1.0.0-rc.1 before v1.0.0.
tag=$(git -c versionsort.suffix=- tag --list "${dir}v[0-9]*" --merged HEAD --sort=-v:refname | head -n 1)
if [[ -z $tag ]]; then
	echo "apidiff: ${dir:-the root module} has no tag yet; nothing to compare"
	exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/old"
git -C "$top" archive "$tag" | tar -x -C "$tmp/old"

# The packages that others can import.
importable() { go list -f '{{if ne .Name "main"}}{{.ImportPath}}{{end}}' ./... | grep -Ev '(^|/)internal(/|$)'; }

old=$(cd "$tmp/old/$dir" && importable)
new=$(importable)
for package in $old; do
	if ! grep -qxF "$package" <<<"$new"; then
		echo "- $package: removed"
		continue
	fi
	(cd "$tmp/old/$dir" && $apidiff -w "$tmp/export" "$package")
	$apidiff -incompatible "$tmp/export" "$package" | sed "s|^- |- $package: |"
done >"$tmp/changes"

touch "$tmp/accepted"
[[ ! -f $top/scripts/apidiff.txt ]] || cp "$top/scripts/apidiff.txt" "$tmp/accepted"
if grep -vxFf "$tmp/accepted" "$tmp/changes" >"$tmp/refused"; then
	echo "apidiff: incompatible with $tag:"
	cat "$tmp/refused"
	exit 1
fi
echo "apidiff: compatible with $tag"
