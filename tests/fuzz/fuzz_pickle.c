/* Pickles from a stranger: parsed or refused, and nothing refers outside of what was parsed. */
#include "model/tensor/pickle.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct lvn_pickle pickle = {0};
  struct lvn_error err;
  if (!lvn_pickle_parse(data, bytes, &pickle, &err)) {
    return 0;
  }
  if (pickle.used > bytes || pickle.result >= pickle.count) {
    __builtin_trap();
  }
  for (size_t i = 0; i < pickle.count; i++) {
    const struct lvn_pickle_value *value = &pickle.values[i];
    for (size_t item = 0; item < value->count; item++) {
      if (value->items[item] >= pickle.count) {
        __builtin_trap();
      }
    }
    if (value->kind == LVN_PICKLE_TEXT && (value->text < data || value->text + value->length > data + bytes)) {
      __builtin_trap();
    }
  }
  lvn_pickle_clear(&pickle);
  return 0;
}
