/* safetensors files from a stranger: what is accepted must lie inside the bytes that were given. */
#include "model/tensor/safetensors.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct lvn_safetensors *file = NULL;
  struct lvn_error err;
  if (!lvn_safetensors_parse(data, bytes, &file, &err)) {
    return 0;
  }
  for (size_t i = 0; i < lvn_safetensors_count(file); i++) {
    const struct lvn_tensor *tensor = lvn_safetensors_get(file, i);
    const uint8_t *first = tensor->data;
    size_t tensor_bytes = tensor->element_count * lvn_dtype_bytes(tensor->dtype);
    if (first < data || tensor_bytes > (size_t)(data + bytes - first) ||
        lvn_safetensors_find(file, tensor->name) != tensor) {
      __builtin_trap();
    }
  }
  (void)lvn_safetensors_metadata(file, "format");
  lvn_safetensors_close(file);
  return 0;
}
