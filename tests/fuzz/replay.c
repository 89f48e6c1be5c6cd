/* Feeds every file of the named folders to a fuzz target: what a fuzzer once found stays found. Exit 2 when
 * there was nothing to feed, so that an empty corpus is not taken for a passed test. */
#include "base/file.h"
#include "base/memory.h"
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <string.h>

#define CORPUS_FILES_MAX 100000
#define CORPUS_FILE_BYTES_MAX (64U << 20)

static bool replay_file(const char *path, size_t *count) {
  struct lvn_error err = {0};
  LVN_AUTOFREE uint8_t *data = NULL;
  LVN_AUTOFREE uint8_t *exact = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, CORPUS_FILE_BYTES_MAX, &data, &bytes, &err)) {
    (void)fprintf(stderr, "%s\n", err.message);
    return false;
  }
  /* Without the NUL that lvn_file_read() adds: a read beyond the end must be seen. */
  exact = lvn_alloc(bytes, 1, &err);
  if (exact == NULL) {
    (void)fprintf(stderr, "%s\n", err.message);
    return false;
  }
  memcpy(exact, data, bytes);
  (void)LLVMFuzzerTestOneInput(exact, bytes);
  (*count)++;
  return true;
}

static bool replay_folder(const char *folder, size_t *count) {
  struct lvn_error err = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (!lvn_file_walk(folder, CORPUS_FILES_MAX, &paths, &err)) {
    (void)fprintf(stderr, "%s\n", err.message);
    return false;
  }
  for (size_t i = 0; i < paths.count; i++) {
    if (!replay_file(paths.names[i], count)) {
      return false;
    }
  }
  return true;
}

int main(int argc, char **argv) {
  size_t count = 0;
  (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  for (int i = 1; i < argc; i++) {
    if (!replay_folder(argv[i], &count)) {
      return 1;
    }
  }
  (void)printf("%zu inputs\n", count);
  return count > 0 ? 0 : 2;
}
