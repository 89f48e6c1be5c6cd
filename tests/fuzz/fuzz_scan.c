/* The scanner on hostile bytes. The first byte chooses transfer syntax and completeness, the rest is the data set. */
#include "dicom/read/scan.h"
#include "tests/fuzz/target.h"

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
  return 0;
}
