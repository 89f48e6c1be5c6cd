/* Allocation that reports through struct lvn_error, and the cleanup attribute's helpers. The only home of malloc/free.
 */
#ifndef LVN_BASE_MEMORY_H
#define LVN_BASE_MEMORY_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` zeroed elements; overflow of count * size and size 0 are handled (0 becomes 1, so NULL always means failure).
 */
LVN_MUST_CHECK void *lvn_alloc(size_t count, size_t element_bytes, struct lvn_error *err);

/* Room for one more element in a growing array, up to `max_count` elements (LVN_ERROR_DATA beyond). `*array` may be
 * NULL with *capacity 0. On failure the array is unchanged and still owned. New room is zeroed. */
LVN_MUST_CHECK bool lvn_grow(void *array_pointer, size_t *capacity, size_t count, size_t element_bytes,
                             size_t max_count, struct lvn_error *err);

LVN_MUST_CHECK char *lvn_strdup(const char *text, struct lvn_error *err);
LVN_MUST_CHECK char *lvn_format(struct lvn_error *err, const char *format, ...) LVN_PRINTF(2, 3);

/* Copy with truncation; always terminated; returns false when it had to cut. */
bool lvn_copy(char *target, size_t target_bytes, const char *text);

void lvn_free(void *memory); /* NULL is allowed */

/* `LVN_AUTOFREE char *name = NULL;` frees at the end of the scope; lvn_steal(&name) hands the pointer out. */
void lvn_free_pointer(void *pointer_to_pointer);
#define LVN_AUTOFREE __attribute__((cleanup(lvn_free_pointer)))
#define LVN_CLEANUP(function) __attribute__((cleanup(function)))

#ifndef __cplusplus
#define lvn_steal(pointer_to_pointer)                                                                                  \
  __extension__({                                                                                                      \
    __typeof__(*(pointer_to_pointer)) lvn_stolen_ = *(pointer_to_pointer);                                             \
    *(pointer_to_pointer) = NULL;                                                                                      \
    lvn_stolen_;                                                                                                       \
  })
#endif

/* Defines `<type>_cleanup(struct <type> **)` for LVN_CLEANUP, from `<destroy>(struct <type> *)`. */
#define LVN_DEFINE_CLEANUP(type, destroy)                                                                              \
  static inline void type##_cleanup(struct type **pointer) {                                                           \
    destroy(*pointer);                                                                                                 \
  }

#ifdef __cplusplus
}
#endif
#endif
