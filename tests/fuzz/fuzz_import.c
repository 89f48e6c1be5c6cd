/* Weight files from a stranger, in every form: what is accepted can be read to its last byte. */
#include "model/tensor/import.h"
#include "tests/fuzz/target.h"

#include <string.h>

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct lvn_import *import = NULL;
  struct lvn_error err;
  if (!lvn_import_parse(data, bytes, &import, &err)) {
    return 0;
  }
  for (size_t i = 0; i < lvn_import_count(import); i++) {
    const struct lvn_tensor *tensor = lvn_import_get(import, i);
    size_t tensor_bytes = tensor->element_count * lvn_dtype_bytes(tensor->dtype);
    if (lvn_import_find(import, tensor->name) == NULL) {
      __builtin_trap();
    }
    for (size_t b = 0; b < tensor_bytes; b++) {
      sink ^= ((const uint8_t *)tensor->data)[b]; /* the sanitizer looks */
    }
  }
  lvn_import_close(import);
  return 0;
}
