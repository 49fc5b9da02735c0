#!/usr/bin/env bash
# Prints how much of each package its module's tests reach, and each module's sum. The profiles stay in
# .tmp/cover, for `go tool cover -html`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/.tmp/cover
mkdir -p "$out"

modules=$(scripts/modules.sh)
failed=""
for module in $modules; do
  name=$(echo "$module" | sed 's|^\.$|root|; s|/|_|g')
  echo "-- $module"
  (cd "$module" && go test -count=1 -coverpkg=./... -coverprofile="$out/$name.out" ./... >"$out/$name.log" 2>&1) ||
    { cat "$out/$name.log"; failed="$failed $module"; continue; }
  (cd "$module" && go tool cover -func="$out/$name.out") | awk '
    { sub(/%$/, "", $NF) }
    $1 == "total:" { total = $NF; next }
    { file = $1; sub(/\/[^\/]*:[0-9]+:$/, "", file); n[file]++; if ($NF == 0) none[file]++ }
    END {
      for (f in n) printf "   %s: %d of %d functions reached\n", f, n[f] - none[f], n[f] | "sort"
      close("sort")
      printf "   total: %s%% of statements\n", total
    }'
done
[ -z "$failed" ] || { echo "stile: failed in:$failed" >&2; exit 1; }
