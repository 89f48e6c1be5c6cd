#!/bin/bash
# Fails when a source file is not as clang-format-14 would write it. Usage: format.sh ROOT | --self-test
set -euo pipefail
if [ "${1:-}" = --self-test ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  printf 'BasedOnStyle: LLVM\n' >"$folder/.clang-format"
  printf 'int  f( void ){return 1;}\n' >"$folder/bad.c"
  if "$0" "$folder" >/dev/null 2>&1; then
    echo "self-test: a badly formatted file was not noticed"
    exit 1
  fi
  printf 'int f(void);\n' >"$folder/bad.c"
  exec "$0" "$folder"
fi
cd "$1"
mapfile -t files < <(
  if [ -e .git ]; then
    git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.cc' '*.hh'
  else
    find . -name '*.[ch]' -o -name '*.cc' -o -name '*.hh'
  fi | sort -u | while read -r file; do [ -f "$file" ] && echo "$file"; done)
[ "${#files[@]}" -gt 0 ] || { echo "no source files"; exit 1; }
clang-format-14 --dry-run -Werror "${files[@]}"
echo "${#files[@]} files"
