/* The command set of one DIMSE request (PS3.7 6.3.1 and 9.3), read without DCMTK's data set parser: that one takes
 * sequences of any depth and values of any size from a peer that nothing is known of. */
#ifndef LVN_DICOM_NET_COMMAND_H
#define LVN_DICOM_NET_COMMAND_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A C-STORE-RQ needs about 250 bytes. */
#define LVN_COMMAND_BYTES_MAX 16384U

enum lvn_command_field { LVN_COMMAND_C_STORE_RQ = 0x0001, LVN_COMMAND_C_ECHO_RQ = 0x0030 };

struct lvn_command {
  uint16_t field;
  uint16_t message_id;
  bool has_data_set;
  char sop_class_uid[65]; /* "" when absent; without padding, not checked */
  char sop_instance_uid[65];
};

/* LVN_ERROR_PROTOCOL when the bytes are no command set, or Command Field, Message ID or Data Set Type is missing. */
LVN_MUST_CHECK bool lvn_command_parse(const uint8_t *bytes, size_t count, struct lvn_command *ret_command,
                                      struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
