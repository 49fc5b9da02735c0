#!/usr/bin/env bash
# Looks for what building and testing needs: Go, a C compiler (for the race detector), git, tmux and ps (for
# tests of the command on a terminal), redis-server, ZooKeeper and Java (tests start servers of their own), and
# Curator and a Java compiler (the benchmark runs it beside stile). As root on Debian it
# installs what is missing through apt-get; elsewhere it says in one line what to install, and exits 1. It
# installs no Go: which one is the user's choice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "stile: $*" >&2
  exit 1
}

check_go() {
  local want have
  want=$(awk '$1 == "go" { print $2 }' go.work)
  command -v go >/dev/null || fail "Go is missing: install Go $want or newer from https://go.dev/dl and run this again"
  # Asked here, in the workspace, so that a Go that fetches the version it needs answers with that one.
  if ! have=$(go env GOVERSION 2>/dev/null); then
    have=$(cd / && GOTOOLCHAIN=local GOWORK=off go env GOVERSION)
    fail "$have is too old: install Go $want or newer from https://go.dev/dl and run this again"
  fi
  newer_or_same "$have" "$want" || fail "$have is too old: install Go $want or newer from https://go.dev/dl and run this again"
}

# newer_or_same HAVE WANT compares the first two numbers; HAVE may be go1.26.1, or devel go1.27-abcdef.
newer_or_same() {
  local have=${1##*go} want=$2 have_minor want_minor
  have_minor=${have#*.} want_minor=${want#*.}
  have_minor=${have_minor%%[!0-9]*} want_minor=${want_minor%%[!0-9]*}
  [ "${have%%.*}" -gt "${want%%.*}" ] || { [ "${have%%.*}" -eq "${want%%.*}" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

# compiles tells whether the C compiler that Go would call makes a program: one without its headers does not.
compiles() {
  local cc tmp ok=1
  cc=$(go env CC)
  tmp=$(mktemp -d)
  # Unquoted: CC may hold options.
  printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$tmp/x.c"
  # shellcheck disable=SC2086
  $cc -o "$tmp/x" "$tmp/x.c" >/dev/null 2>&1 && ok=0
  rm -rf "$tmp"
  return "$ok"
}

# missing prints the Debian packages that are missing, on one line.
missing() {
  local list=""
  compiles || list="$list gcc libc6-dev"
  command -v git >/dev/null || list="$list git"
  command -v tmux >/dev/null || list="$list tmux"
  command -v ps >/dev/null || list="$list procps"
  command -v redis-server >/dev/null || list="$list redis-server"
  [ -e /usr/share/java/zookeeper.jar ] || list="$list zookeeper"
  [ -e /usr/share/java/curator-recipes.jar ] || list="$list libcurator-recipes-java"
  command -v javac >/dev/null || list="$list default-jdk-headless"
  echo "${list# }"
}

# quietly PACKAGES... installs, and starts no service meanwhile: the tests start their own servers. Debian asks
# /usr/sbin/policy-rc.d before a package starts a service (101: do not); one that is there already stays.
quietly() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ] || ! printf '#!/bin/sh\nexit 101\n' 2>/dev/null >"$policy"; then
    policy=""
  else
    chmod 755 "$policy"
    # shellcheck disable=SC2064
    trap "rm -f '$policy'" EXIT
  fi
  timeout 600 "$@" || status=$?
  [ -z "$policy" ] || rm -f "$policy"
  return "$status"
}

# install_debian PACKAGES prints what apt-get said only if that did not help.
install_debian() {
  local log apt=(apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
  log=$(mktemp)
  echo "stile: installing through apt-get: $1" >&2
  export DEBIAN_FRONTEND=noninteractive
  # Lists that cannot be renewed may still name the packages, so the next step is tried all the same.
  timeout 300 "${apt[@]}" update >"$log" 2>&1 </dev/null || true
  # Unquoted: several packages.
  # shellcheck disable=SC2086
  quietly "${apt[@]}" install -y --no-install-recommends $1 >>"$log" 2>&1 </dev/null || cat "$log" >&2
  rm -f "$log"
}

# check_redis: the scripts need what came with Redis 7.0; Valkey began above that.
check_redis() {
  local version
  version=$(redis-server --version | sed -n 's/.*v=\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 7 ] || fail "redis-server is older than 7.0: install a newer one and run this again"
}

check_go
packages=$(missing)
if [ -z "$packages" ]; then
  check_redis
  exit 0
fi
if [ "$(uname -s)" = Darwin ]; then
  fail "missing (by Debian's names): $packages; install the compiler and git with \`xcode-select --install\`, tmux and redis with \`brew install tmux redis\`"
fi
if command -v apt-get >/dev/null; then
  [ "$(id -u)" -eq 0 ] || fail "missing: $packages; install with \`sudo apt-get install $packages\` and run this again"
  install_debian "$packages"
  packages=$(missing)
  [ -z "$packages" ] || fail "apt-get could not install: $packages; install them by hand and run this again"
else
  fail "missing (by Debian's names): $packages; install them with this system's package manager and run this again"
fi
check_redis
