#!/usr/bin/env bash
# Runs a command in the folder of every module, in the order of modules.txt: scripts/each.sh go vet ./...
# It goes on after a failure, names the modules that failed at the end, and exits 1 if there were any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

modules=$(scripts/modules.sh)
failed=""
for module in $modules; do
  echo "-- $module: $*"
  (cd "$module" && "$@") || failed="$failed $module"
done
[ -z "$failed" ] || { echo "stile: failed in:$failed" >&2; exit 1; }
