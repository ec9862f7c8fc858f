#!/usr/bin/env bash
# Unpacks a rustc that can compile for aarch64, from Debian's packages only, into DIR. Nothing outside DIR changes, so it
# needs no root and no foreign architecture in the system's dpkg.
# usage: cross/debian-toolchain.sh DIR      then: RUSTC=DIR/bin/rustc cargo build --target aarch64-unknown-linux-gnu
set -euo pipefail

dir=$(realpath -m "${1:?usage: cross/debian-toolchain.sh DIR}")
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
if [ -x "$dir/bin/rustc" ] && "$dir/bin/rustc" -V 2>/dev/null; then exit 0; fi

# A private package index, because the system's own does not list arm64 packages.
mkdir -p "$dir"/apt/{state/lists/partial,cache/archives/partial} "$dir"/{debs,sysroot,bin}
: >"$dir/apt/status"
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || sources=/etc/apt/sources.list
apt=(-o Dir::State="$dir/apt/state" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache"
  -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null
  -o APT::Architectures::=amd64 -o APT::Architectures::=arm64
  -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root)
apt-get "${apt[@]}" -qq update

# rustc-web is the current compiler that Debian brings to its stable release for browsers.
version=$(apt-cache "${apt[@]}" policy rustc-web | awk '/Candidate:/{print $2}')
minor=$(cut -d. -f1,2 <<<"$version")
if ! dpkg --compare-versions "$minor" ge "$needed"; then
  echo "debian-toolchain: this needs rustc-web $needed or later, the package index has ${version:-none}" >&2
  exit 1
fi
llvm=$(apt-cache "${apt[@]}" show "libstd-rust-web-$minor=$version" | grep -oE 'libllvm[0-9]+' | head -1)
packages=("rustc-web=$version" "libstd-rust-web-$minor=$version" "$llvm"
  "libstd-rust-web-dev=$version" "libstd-rust-web-dev:arm64=$version")
(cd "$dir/debs" && apt-get "${apt[@]}" -qq download "${packages[@]}")
for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/sysroot"; done

cat >"$dir/bin/rustc" <<WRAPPER
#!/bin/sh
usr=$dir/sysroot/usr
export LD_LIBRARY_PATH="\$usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$usr/bin/rustc" --sysroot "\$usr" "\$@"
WRAPPER
chmod +x "$dir/bin/rustc"
"$dir/bin/rustc" -V
