#include "analysis/findings/writer.h"

#include <string.h>

bool lvn_result_is_wanted(const struct lvn_result_request *request, const char *kind) {
  const char *at = request->objects != NULL ? request->objects : LVN_RESULT_OBJECTS;
  size_t length = strlen(kind);
  while (*at != '\0') {
    at += strspn(at, ", ");
    size_t word = strcspn(at, ", ");
    if (word == length && strncmp(at, kind, length) == 0) {
      return true;
    }
    at += word;
  }
  return false;
}
