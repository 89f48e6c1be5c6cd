#!/bin/bash
# Runs clang-tidy-14 (the checks of .clang-tidy) over the C files of a build. Usage: tidy.sh ROOT BUILD | --self-test
set -euo pipefail
if [ "${1:-}" = --self-test ]; then
  here=$(cd "$(dirname "$0")/../.." && pwd)
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder/config" "$folder/build"
  cp "$here/.clang-tidy" "$folder/"
  printf '#include <string.h>\nint f(char *a);\nint f(char *a) {\n  char *b = 0;\n  memset(a, 0, sizeof(a));\n  return *b;\n}\n' \
    >"$folder/config/bad.c"
  printf '[{"directory":"%s","file":"config/bad.c","command":"cc -c config/bad.c"}]' "$folder" \
    >"$folder/build/compile_commands.json"
  if "$0" "$folder" "$folder/build" >/dev/null 2>&1; then
    echo "self-test: a null dereference was not noticed"
    exit 1
  fi
  printf 'int f(void);\nint f(void) {\n  return 1;\n}\n' >"$folder/config/bad.c"
  exec "$0" "$folder" "$folder/build"
fi
cd "$1"
mapfile -t files < <(find config storage daemon dicom model -name '*.c' 2>/dev/null | sort)
[ "${#files[@]}" -gt 0 ] || { echo "no source files"; exit 1; }
# Options of gcc that clang does not know are no fault of the sources.
if ! printf '%s\0' "${files[@]}" | xargs -0 -n 8 -P 2 clang-tidy-14 -p "$2" --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option 2> >(grep -v 'warnings generated' >&2); then
  echo "clang-tidy complains"
  exit 1
fi
echo "${#files[@]} files"
