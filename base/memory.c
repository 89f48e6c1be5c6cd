#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *lvn_alloc(size_t count, size_t element_bytes, struct lvn_error *err) {
  size_t bytes = 0;
  void *memory = NULL;
  if (!__builtin_mul_overflow(count, element_bytes, &bytes)) {
    memory = calloc(1, bytes == 0 ? 1 : bytes);
  }
  if (memory == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for %zu elements of %zu bytes", count, element_bytes);
  }
  return memory;
}

bool lvn_grow(void *array_pointer, size_t *capacity, size_t count, size_t element_bytes, size_t max_count,
              struct lvn_error *err) {
  void *old = NULL;
  void *grown = NULL;
  size_t wanted = 0;
  size_t bytes = 0;
  if (count < *capacity) {
    return true;
  }
  if (count >= max_count) {
    return lvn_error_set(err, LVN_ERROR_DATA, "more than %zu elements", max_count);
  }
  wanted = *capacity < 8 ? 16 : *capacity * 2;
  if (wanted > max_count) {
    wanted = max_count;
  }
  memcpy(&old, array_pointer, sizeof old); /* any object pointer type: read and written by memcpy, never cast */
  if (!__builtin_mul_overflow(wanted, element_bytes, &bytes)) {
    grown = realloc(old, bytes);
  }
  if (grown == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for %zu elements of %zu bytes", wanted, element_bytes);
  }
  memset((uint8_t *)grown + *capacity * element_bytes, 0, (wanted - *capacity) * element_bytes);
  memcpy(array_pointer, &grown, sizeof grown);
  *capacity = wanted;
  return true;
}

char *lvn_strdup(const char *text, struct lvn_error *err) {
  size_t bytes = strlen(text) + 1;
  char *copy = lvn_alloc(bytes, 1, err);
  if (copy != NULL) {
    memcpy(copy, text, bytes);
  }
  return copy;
}

char *lvn_format(struct lvn_error *err, const char *format, ...) {
  va_list args;
  char *text = NULL;
  int length;
  va_start(args, format);
  length = vasprintf(&text, format, args);
  va_end(args);
  if (length < 0) {
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a formatted string");
    return NULL;
  }
  return text;
}

bool lvn_copy(char *target, size_t target_bytes, const char *text) {
  size_t length = strlen(text);
  bool fits = length < target_bytes;
  if (!fits) {
    length = target_bytes - 1;
  }
  memcpy(target, text, length);
  target[length] = '\0';
  return fits;
}

void lvn_free(void *memory) {
  free(memory);
}

void lvn_free_pointer(void *pointer_to_pointer) {
  void *memory = NULL;
  memcpy(&memory, pointer_to_pointer, sizeof memory);
  free(memory);
}
