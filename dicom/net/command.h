/* The command sets of a DIMSE request and its response (PS3.7 6.3.1 and 9.3), read and written without DCMTK: its
 * parser takes sequences of any depth and values of any size from a peer that nothing is known of, and it answers on no
 * presentation context whose transfer syntax it does not know (HTJ2K). */
#ifndef LVN_DICOM_NET_COMMAND_H
#define LVN_DICOM_NET_COMMAND_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A C-STORE-RQ needs about 250 bytes. */
#define LVN_COMMAND_BYTES_MAX 16384U

#define LVN_COMMAND_RESPONSE_BYTES_MAX 512U

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

/* The response to a request, without a data set. `comment`: for the Error Comment (0000,0902), of which 64 characters
 * are sent; NULL: none. Returns its length. */
size_t lvn_command_write_response(const struct lvn_command *request, uint16_t status, const char *comment,
                                  uint8_t ret_bytes[LVN_COMMAND_RESPONSE_BYTES_MAX]);

#ifdef __cplusplus
}
#endif
#endif
