#!/usr/bin/env bash
# Fuzzes every fuzz target of every module for a while each: scripts/fuzz.sh 10s. Finding no target at all is a
# failure. What a target finds is written to its testdata/fuzz: commit it with the fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:?want how long to fuzz each target, as in scripts/fuzz.sh 10s}

modules=$(scripts/modules.sh)
targets=0
failed=""
for module in $modules; do
  # go test prints a package's targets, then the package. One line for each target: its package, its name.
  list=$(cd "$module" && go test -list='^Fuzz' ./... | awk '
    /^Fuzz/ { names[++n] = $1 }
    $1 == "ok" { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
  [ -n "$list" ] || continue
  while read -r package target; do
    # Without -fuzzminimizetime go may spend all the time on making one interesting input smaller.
    targets=$((targets + 1))
    echo "-- $package $target for $time"
    (cd "$module" && go test -run='^$' -fuzz="^$target\$" -fuzztime="$time" -fuzzminimizetime=20x "$package" </dev/null) || failed="$failed $package.$target"
  done <<<"$list"
done
[ "$targets" -gt 0 ] || { echo "stile: no fuzz target was found" >&2; exit 1; }
[ -z "$failed" ] || { echo "stile: failed:$failed" >&2; exit 1; }
echo "stile: $targets fuzz targets, $time each, nothing found"
