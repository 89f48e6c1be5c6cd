/* The scanner on hostile bytes. The first byte chooses transfer syntax and completeness, the rest is the data set. What
 * has no problem is mended, and the copy must have none and be of the same object. */
#include "base/memory.h"
#include "dicom/scan/scan.h"
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEND_BYTES_MAX 65536U

static int make_file(const void *head, size_t head_bytes, const uint8_t *data, size_t bytes, char path[32]) {
  int fd = memfd_create("scan", MFD_CLOEXEC);
  if (fd < 0 || write(fd, head, head_bytes) != (ssize_t)head_bytes || write(fd, data, bytes) != (ssize_t)bytes) {
    __builtin_trap();
  }
  (void)snprintf(path, 32, "/proc/self/fd/%d", fd);
  return fd;
}

static void mend(const char *syntax, const uint8_t *data, size_t bytes) {
  struct lvn_scan scan;
  struct lvn_scan again;
  struct lvn_error err;
  char path[32];
  char head[256] = "";
  uint8_t *mended = NULL;
  size_t count = 0;
  size_t length = strlen(syntax);
  size_t padded = length + (length & 1);
  memcpy(head + 128, "DICM\2\0\x10\0UI", 10);
  head[138] = (char)padded;
  memcpy(head + 140, syntax, length);
  int fd = make_file(head, 140 + padded, data, bytes, path);
  if (lvn_scan_file(path, &scan, &err) && scan.problem[0] == '\0') {
    if (!lvn_scan_mend(path, NULL, &mended, &count, &err)) {
      __builtin_trap();
    }
    char copy[32];
    int copy_fd = make_file("", 0, mended, count, copy);
    if (!lvn_scan_file(copy, &again, &err) || again.problem[0] != '\0' ||
        strcmp(again.sop_instance_uid, scan.sop_instance_uid) != 0 ||
        strcmp(again.study_instance_uid, scan.study_instance_uid) != 0 ||
        strcmp(again.patient_id, scan.patient_id) != 0) {
      __builtin_trap();
    }
    (void)close(copy_fd);
    lvn_free(mended);
  }
  (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char *const syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2",
                                         "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"};
  struct lvn_scan scan;
  struct lvn_error err;
  if (bytes == 0) {
    return 0;
  }
  const char *syntax = syntaxes[(data[0] >> 1) % (sizeof syntaxes / sizeof syntaxes[0])];
  if (!lvn_scan_dataset(data + 1, bytes - 1, (data[0] & 1) != 0, syntax, &scan, &err)) {
    return 0;
  }
  /* What was accepted holds what the header promises. */
  if (!lvn_uid_is_valid(scan.sop_instance_uid) || !lvn_uid_is_valid(scan.study_instance_uid)) {
    __builtin_trap();
  }
  if (bytes <= MEND_BYTES_MAX) {
    mend(syntax, data + 1, bytes - 1);
  }
  return 0;
}
