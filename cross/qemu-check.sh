#!/usr/bin/env bash
# Runs an aarch64 hornero under qemu as a Raspberry Pi 4 would run it: a Cortex-A72 without cryptographic instructions.
# It prints its version, imports a recorded chain to the recorded head, and must execute no AES or SHA instruction.
# usage: cross/qemu-check.sh BINARY       BINARY is a build with --features minimal, the preset of the recording
#   HORNERO_CAPTURES   folder of the recorded chain (default: ../shared/captures/minimal-fulu-ethrex beside the project)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "${1:?usage: cross/qemu-check.sh BINARY}")
captures=${HORNERO_CAPTURES:-$here/../../shared/captures/minimal-fulu-ethrex}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "qemu-check: $*" >&2; exit 1; }
for tool in qemu-aarch64-static:qemu-user-static aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu jq:jq; do
  command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing: install the package ${tool#*:}"
done

# Every instruction that qemu translates is written to the log once.
run_as_pi4() { # LOG ARGUMENTS...
  local log=$1
  shift
  qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu cortex-a72 -E LD_PRELOAD="$work/nocrypto.so" \
    -d in_asm -D "$log" "$bin" "$@"
}

# The 8-bit form of pmull is an ordinary instruction; the one that makes 128-bit products (.1q) is cryptographic.
expect_no_crypto() { # LOG
  local count
  grep -qwE 'ret' "$1" || fail "qemu's log of instructions is empty or unreadable"
  count=$(grep -cE '\<(aes(e|d|mc|imc)|sha(1|256|512)[a-z0-9]+|pmull2?[[:space:]]+v[0-9]+\.1q)\>' "$1" || true)
  echo "qemu-check: $(grep -c '^0x' "$1") instructions seen, $count of them AES, SHA or PMULL"
  [ "$count" = 0 ] || fail "the binary executes instructions that a Raspberry Pi 4 does not have"
}

# The recording has the configuration as the API gives it: the same keys as a config.yaml, all values strings.
write_network() { # DIR
  mkdir -p "$1"
  jq -r '.data | to_entries[] | "\(.key): \(if (.value | type) != "string" then (.value | tojson | gsub("\"(?<n>[0-9]+)\""; "\(.n)"))
    elif (.value | test("^0x")) then "\"\(.value)\"" else .value end)"' "$captures/config_spec.json" >"$1/config.yaml"
}

# From the justified state: between it and the head no recorded block is missing.
import_recording() {
  local slot head expected printed
  [ -f "$captures/state_justified.ssz" ] ||
    fail "no recorded chain in $captures; set HORNERO_CAPTURES to a folder with config_spec.json, state_justified.ssz and blocks/"
  slot=$(od -An -tu8 -j40 -N8 "$captures/state_justified.ssz" | tr -d ' ')
  head=$(basename -s .ssz "$captures"/blocks/*.ssz | sort -n | tail -1)
  expected=$(jq -r .data.root "$captures/blocks/$head.root.json")
  write_network "$work/network"
  mkdir "$work/blocks"
  for block in $(seq $((slot + 1)) "$head"); do
    [ ! -f "$captures/blocks/$block.ssz" ] || cp "$captures/blocks/$block.ssz" "$work/blocks"
  done
  printed=$(run_as_pi4 "$work/import.log" import --network "$work/network" \
    --checkpoint-state "$captures/state_justified.ssz" --checkpoint-block "$captures/blocks/$slot.ssz" \
    --blocks "$work/blocks") || fail "hornero import failed"
  echo "$printed"
  grep -qF "$expected" <<<"$(tail -1 <<<"$printed")" || fail "the head is not $expected, the block recorded at slot $head"
  expect_no_crypto "$work/import.log"
}

aarch64-linux-gnu-gcc -shared -fPIC -O1 -Wall -Werror -o "$work/nocrypto.so" "$here/nocrypto.c" -ldl
version=$(run_as_pi4 "$work/version.log" --version)
echo "$version"
[ "$version" != "${version#hornero }" ] || fail "--version printed '$version'"
expect_no_crypto "$work/version.log"
import_recording
echo "qemu-check: runs as on a Raspberry Pi 4"
