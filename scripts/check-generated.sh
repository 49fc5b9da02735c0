#!/usr/bin/env bash
# Runs `go generate` where there are directives, and fails if that changes, adds or removes a file. It compares
# the tree with what it was before, so work that is not committed yet does not count.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Names and contents of all files that git would keep.
state() {
  git ls-files --cached --others --exclude-standard | sort -u | while IFS= read -r file; do
    [ ! -f "$file" ] || printf '%s %s\n' "$(git hash-object --no-filters "$file")" "$file"
  done
}

directives=$(git grep --untracked -lE '^//go:generate ' -- '*.go' || true)
if [ -z "$directives" ]; then
  echo "stile: no generated code: no //go:generate directive"
  exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
state >"$tmp/before"
scripts/each.sh go generate ./...
state >"$tmp/after"
if ! diff "$tmp/before" "$tmp/after" >&2; then
  echo "stile: generated code is not up to date: the files above changed; commit them" >&2
  exit 1
fi
echo "stile: generated code is up to date"
