#include "dicom/scan/meta.h"

#include "base/sha256.h"
#include "dicom/scan/identity.h"

#include <string.h>

/* Explicit VR little endian whatever the data set's transfer syntax (PS3.10 7.1). */
struct header {
  uint8_t *bytes;
  size_t count;
};

static void put(struct header *header, const void *data, size_t bytes) {
  memcpy(header->bytes + header->count, data, bytes);
  header->count += bytes;
}

/* An element of group 0002 with a 16-bit length; an odd value is padded with `padding`. */
static void put_element(struct header *header, uint8_t element, const char *vr, const void *value, size_t bytes,
                        uint8_t padding) {
  const uint8_t head[8] = {0x02, 0x00, element, 0x00, (uint8_t)vr[0], (uint8_t)vr[1], (uint8_t)(bytes + (bytes & 1)),
                           0};
  put(header, head, sizeof head);
  put(header, value, bytes);
  if ((bytes & 1) != 0) {
    put(header, &padding, 1);
  }
}

static void put_uid(struct header *header, uint8_t element, const char *uid) {
  put_element(header, element, "UI", uid, strlen(uid), 0);
}

bool lvn_meta_format(const char *sop_class_uid, const char *sop_instance_uid, const char *transfer_syntax_uid,
                     uint8_t ret_header[LVN_META_BYTES_MAX], size_t *ret_bytes, struct lvn_error *err) {
  static const uint8_t version[] = {0x02, 0x00, 0x01, 0x00, 'O', 'B', 0, 0, 2, 0, 0, 0, 0x00, 0x01};
  static const uint8_t zero[4];
  struct header header = {.bytes = ret_header};
  size_t length_at = 0;
  if (!lvn_uid_is_valid(sop_class_uid) || !lvn_uid_is_valid(sop_instance_uid) ||
      !lvn_uid_is_valid(transfer_syntax_uid)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a UID of the C-STORE request is malformed");
  }
  memset(ret_header, 0, 128);
  header.count = 128;
  put(&header, "DICM", 4);
  put_element(&header, 0x00, "UL", zero, sizeof zero, 0);
  length_at = header.count - sizeof zero;
  put(&header, version, sizeof version);
  put_uid(&header, 0x02, sop_class_uid);
  put_uid(&header, 0x03, sop_instance_uid);
  put_uid(&header, 0x10, transfer_syntax_uid);
  put_uid(&header, 0x12, LVN_IMPLEMENTATION_CLASS_UID);
  put_element(&header, 0x13, "SH", LVN_IMPLEMENTATION_VERSION_NAME, strlen(LVN_IMPLEMENTATION_VERSION_NAME), ' ');
  size_t group_bytes = header.count - length_at - sizeof zero;
  ret_header[length_at] = (uint8_t)(group_bytes & 0xff);
  ret_header[length_at + 1] = (uint8_t)(group_bytes >> 8);
  *ret_bytes = header.count;
  return true;
}
