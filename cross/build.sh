#!/usr/bin/env bash
# Builds hornero for a 64-bit Raspberry Pi (aarch64, glibc 2.34 or later) on an x86-64 machine with Debian or Ubuntu.
# usage: cross/build.sh [--debian] [--profile dist|release] [--qemu-check] [CARGO ARGUMENTS, e.g. --features minimal]
#   --debian      compile with a rustc from Debian's packages (see debian-toolchain.sh) instead of rustup's
#   --profile     dist (the default) is what is packaged; release builds faster
#   --qemu-check  then run the binary as a Raspberry Pi 4 would (see qemu-check.sh; needs --features minimal)
set -euo pipefail
cd "$(dirname "$0")/.."

# No `-C target-cpu=cortex-a72`: rustc takes it that a Cortex-A72 has the AES and SHA instructions, which are optional and
# which the Raspberry Pi 4 lacks, so the program would die there of an illegal instruction. Generic aarch64 it is; blst,
# ring, sha2 and hashtree look for the instructions at run time and use them on a Raspberry Pi 5.
target=aarch64-unknown-linux-gnu
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
profile=dist
debian=
check=
cargo_args=()
while [ $# -gt 0 ]; do
  case $1 in
    --debian) debian=1 ;;
    --profile) profile=${2:?--profile needs a name}; shift ;;
    --qemu-check) check=1 ;;
    *) cargo_args+=("$1") ;;
  esac
  shift
done

if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v make >/dev/null; then
  echo "cross/build.sh: install the packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and make" >&2
  exit 1
fi
if [ -n "$debian" ]; then
  cross/debian-toolchain.sh "$target_dir/debian-toolchain"
  export RUSTC=$target_dir/debian-toolchain/bin/rustc
elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  echo "cross/build.sh: run 'rustup target add $target', or give --debian" >&2
  exit 1
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# hashtree is built by its own makefile, which asks CC what it compiles for; HOST_CC is for what build scripts need.
export CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar HOST_CC=gcc HOST_AR=ar
cargo build --locked --profile "$profile" --target "$target" "${cargo_args[@]}"
bin=$target_dir/$target/$profile/hornero
ls -l "$bin"
if [ -n "$check" ]; then cross/qemu-check.sh "$bin"; fi
