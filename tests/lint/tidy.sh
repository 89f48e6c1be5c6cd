#!/bin/bash
# Runs clang-tidy-14 (the checks of .clang-tidy) over the C files of a build and over the C++ that parses
# and writes DICOM objects. A file that passed is not looked at again
# until it, a header or the checks change. Usage: tidy.sh ROOT BUILD | --self-test
set -euo pipefail
if [ "${1:-}" = --self-test ]; then
  here=$(cd "$(dirname "$0")/../.." && pwd)
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder"/{base,config,storage,analysis,daemon,cli,dicom,model,build}
  cp "$here/.clang-tidy" "$folder/"
  printf '#include <string.h>\nint f(char *a);\nint f(char *a) {\n  char *b = 0;\n  memset(a, 0, sizeof(a));\n  return *b;\n}\n' \
    >"$folder/config/bad.c"
  printf '[{"directory":"%s","file":"config/bad.c","command":"cc -c config/bad.c"}]' "$folder" \
    >"$folder/build/compile_commands.json"
  complaints=$("$0" "$folder" "$folder/build" 2>&1) && status=0 || status=$?
  if [ "$status" -eq 0 ] || ! grep -q 'clang-analyzer-core.NullDereference' <<<"$complaints"; then
    echo "self-test: a null dereference was not noticed"
    echo "$complaints"
    exit 1
  fi
  printf 'int f(void);\nint f(void) {\n  return 1;\n}\n' >"$folder/config/bad.c"
  "$0" "$folder" "$folder/build"
  exit
fi
cd "$1"
build=$2
passed=$build/tidy-passed
mkdir -p "$passed"
shared=$( (cat .clang-tidy; find base config storage analysis daemon cli dicom model -name '*.h' -print0 -o -name '*.hh' -print0 | sort -z |
  xargs -0 -r sha256sum) | sha256sum | cut -d ' ' -f 1)

check_one() {
  local file=$1 mark output
  mark=$passed/$( (echo "$shared"; cat "$file") | sha256sum | cut -d ' ' -f 1)
  [ ! -e "$mark" ] || return 0
  if output=$(clang-tidy-14 -p "$build" --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option "$file" 2>&1); then
    : >"$mark"
    return 0
  fi
  echo "$output"
  return 1
}
export -f check_one
export passed shared build

mapfile -t files < <( (find base config storage analysis daemon cli dicom model -name '*.c'; find dicom -name '*.cc') | sort)
[ "${#files[@]}" -gt 0 ] || { echo "no source files"; exit 1; }
# shellcheck disable=SC2016
if ! printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'check_one "$0"'; then
  echo "clang-tidy complains"
  exit 1
fi
echo "${#files[@]} files"
