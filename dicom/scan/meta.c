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

/* Of the element at `at`: the bytes before its value, and the value's; false: more are needed for that. */
static bool measure(const uint8_t *at, size_t left, size_t *ret_head, size_t *ret_value) {
  static const char long_vrs[] = "OB OD OF OL OV OW SQ UC UN UR UT";
  char vr[3] = {0};
  if (left < 8) {
    return false;
  }
  vr[0] = (char)at[4];
  vr[1] = (char)at[5];
  if (vr[0] != '\0' && vr[1] != '\0' && strstr(long_vrs, vr) != NULL) {
    *ret_head = 12;
    *ret_value = left < 12 ? 0 : at[8] | (size_t)at[9] << 8 | (size_t)at[10] << 16 | (size_t)at[11] << 24;
    return left >= 12;
  }
  *ret_head = 8;
  *ret_value = at[6] | (size_t)at[7] << 8;
  return true;
}

static void take_uid(const uint8_t *value, size_t bytes, char ret_uid[LVN_UID_BYTES]) {
  size_t length = bytes < LVN_UID_BYTES - 1 ? bytes : LVN_UID_BYTES - 1;
  memcpy(ret_uid, value, length);
  ret_uid[length] = '\0';
  for (size_t end = strlen(ret_uid); end > 0 && ret_uid[end - 1] == ' '; end--) {
    ret_uid[end - 1] = '\0';
  }
}

static void take_element(const uint8_t *at, const uint8_t *value, size_t bytes, struct lvn_meta *meta) {
  const unsigned element = at[2] | (unsigned)at[3] << 8;
  if (element == 0x0002) {
    take_uid(value, bytes, meta->sop_class_uid);
  } else if (element == 0x0003) {
    take_uid(value, bytes, meta->sop_instance_uid);
  } else if (element == 0x0010) {
    take_uid(value, bytes, meta->transfer_syntax_uid);
  }
}

bool lvn_meta_parse(const uint8_t *data, size_t bytes, struct lvn_meta *ret_meta, bool *ret_is_whole,
                    struct lvn_error *err) {
  size_t at = 132;
  *ret_meta = (struct lvn_meta){0};
  *ret_is_whole = false;
  if (bytes >= at && memcmp(data + 128, "DICM", 4) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "it is no Part 10 file");
  }
  while (bytes >= at + 2 && data[at] == 2 && data[at + 1] == 0) {
    size_t head = 0;
    size_t value = 0;
    if (!measure(data + at, bytes - at, &head, &value) || bytes - at - head < value) {
      return true;
    }
    take_element(data + at, data + at + head, value, ret_meta);
    at += head + value;
  }
  if (bytes < at + 2) {
    return true;
  }
  ret_meta->dataset_offset = at;
  *ret_is_whole = true;
  return (lvn_uid_is_valid(ret_meta->sop_class_uid) && lvn_uid_is_valid(ret_meta->sop_instance_uid) &&
          lvn_uid_is_valid(ret_meta->transfer_syntax_uid)) ||
         lvn_error_set(err, LVN_ERROR_DATA, "its meta information lacks SOP class, instance or transfer syntax");
}
