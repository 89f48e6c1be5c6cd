#!/bin/bash
# Runs codespell over code and prose. Words of the field that it takes for slips are in spelling.txt.
# Usage: spelling.sh ROOT | --self-test
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --self-test ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  echo 'The recieved object' >"$folder/a.md"
  if "$0" "$folder" >/dev/null 2>&1; then
    echo "self-test: a slip was not noticed"
    exit 1
  fi
  echo 'The received object' >"$folder/a.md"
  exec "$0" "$folder"
fi
cd "$1"
exec codespell --quiet-level 3 --ignore-words "$here/spelling.txt" \
  --skip './.git,./build,./.venv,./demo-output,./tests/system/node/node_modules,*.safetensors,*.html,./tests/data,./tests/fuzz/corpus,*-vocab.txt,./tests/mutation/originals,./tests/mutation/kept,./tests/system/test_field_lesion.py,./tests/data/parity/make.py,*.dcm,*.png,*.svg,phase_text*.c,test_phase*.c,phantom_study.c,roi_names*,test_roi_names*,spelling.*,spectral.c,roi_words.c,test_field_series.py,test_spectral.c' \
  .
