/* The one function of a fuzz target, under the name that libFuzzer calls. */
#ifndef LVN_TESTS_FUZZ_TARGET_H
#define LVN_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Must take any bytes and come back; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
