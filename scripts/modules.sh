#!/usr/bin/env bash
# Prints the folders of the modules in modules.txt, one a line, in its order; with MODULES set, only those that it
# names. Fails if one has no go.mod, is not listed, or if there is none: a loop over this never goes round for
# nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

listed=$(sed 's/#.*//' modules.txt | awk 'NF { print $1 }')
[ -n "$listed" ] || { echo "stile: modules.txt lists no module" >&2; exit 1; }
for dir in ${MODULES:-$listed}; do
  if ! grep -qxF -- "$dir" <<<"$listed"; then
    echo "stile: $dir is not a module of modules.txt" >&2
    exit 1
  fi
  if [ ! -f "$dir/go.mod" ]; then
    echo "stile: modules.txt lists $dir, which has no go.mod" >&2
    exit 1
  fi
  echo "$dir"
done
