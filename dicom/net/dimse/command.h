/* The command sets of DIMSE messages (PS3.7 6.3.1, 9.3, 10.3 and annex E), read and written without DCMTK: its parser
 * takes sequences of any depth and values of any size from a peer that nothing is known of, and it answers on no
 * presentation context whose transfer syntax it does not know (HTJ2K). Only the elements that services need. */
#ifndef LVN_DICOM_NET_DIMSE_COMMAND_H
#define LVN_DICOM_NET_DIMSE_COMMAND_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Received: a C-STORE-RQ needs about 250 bytes. */
#define LVN_COMMAND_BYTES_MAX 16384U
/* Written: every element of the longest command at its longest. */
#define LVN_COMMAND_WRITTEN_BYTES_MAX 512U

/* A response's is its request's with this bit. */
#define LVN_COMMAND_RESPONSE 0x8000U

enum lvn_command_field {
  LVN_COMMAND_C_STORE_RQ = 0x0001,
  LVN_COMMAND_C_GET_RQ = 0x0010,
  LVN_COMMAND_C_FIND_RQ = 0x0020,
  LVN_COMMAND_C_MOVE_RQ = 0x0021,
  LVN_COMMAND_C_ECHO_RQ = 0x0030,
  LVN_COMMAND_N_EVENT_REPORT_RQ = 0x0100,
  LVN_COMMAND_N_ACTION_RQ = 0x0130,
  LVN_COMMAND_C_CANCEL_RQ = 0x0FFF /* has no response */
};

/* Status (PS3.7 annex C) of any service. */
enum lvn_dimse_status {
  LVN_STATUS_SUCCESS = 0x0000,
  LVN_STATUS_PROCESSING_FAILURE = 0x0110,
  LVN_STATUS_NO_SUCH_CLASS = 0x0122,
  LVN_STATUS_CANCEL = 0xFE00,
  LVN_STATUS_PENDING = 0xFF00,
  LVN_STATUS_PENDING_WARNING = 0xFF01
};

/* Numbers that a command may have or not, as bits of `has`. */
enum lvn_command_has {
  LVN_COMMAND_HAS_MOVE_ORIGINATOR_ID = 1,
  LVN_COMMAND_HAS_REMAINING = 2,
  LVN_COMMAND_HAS_COMPLETED = 4,
  LVN_COMMAND_HAS_FAILED = 8,
  LVN_COMMAND_HAS_WARNING = 16,
  LVN_COMMAND_HAS_EVENT_TYPE = 32,
  LVN_COMMAND_HAS_ACTION_TYPE = 64
};

/* Text is "" when absent, without padding, and not checked further. */
struct lvn_command {
  uint16_t field;
  uint16_t message_id; /* of a request; of the request that is answered or cancelled */
  bool has_data_set;
  uint16_t status;   /* of a response */
  uint16_t priority; /* of C-STORE, C-FIND, C-MOVE, C-GET: 0 medium */
  unsigned has;      /* enum lvn_command_has */
  uint16_t move_originator_id;
  uint16_t remaining_count; /* sub-operations */
  uint16_t completed_count;
  uint16_t failed_count;
  uint16_t warning_count;
  uint16_t event_type;
  uint16_t action_type;
  char sop_class_uid[65]; /* affected; requested in an N-ACTION-RQ */
  char sop_instance_uid[65];
  char move_destination[17];
  char move_originator_aet[17];
  char error_comment[65];
};

bool lvn_command_is_response(const struct lvn_command *command);
bool lvn_command_is_pending(const struct lvn_command *response); /* further responses follow */

/* LVN_ERROR_PROTOCOL when the bytes are no command set, or an element is missing without which it cannot be answered:
 * Command Field, Message ID (Being Responded To), Data Set Type, a response's Status. */
LVN_MUST_CHECK bool lvn_command_parse(const uint8_t *bytes, size_t count, struct lvn_command *ret_command,
                                      struct lvn_error *err);

/* The elements that the command has by the standard; returns their length. Of an error comment what no LO may hold is
 * replaced. */
size_t lvn_command_write(const struct lvn_command *command, uint8_t ret_bytes[LVN_COMMAND_WRITTEN_BYTES_MAX]);

/* The response to a request, without a data set. `comment`: for the Error Comment (0000,0902), of which 64 characters
 * are sent; NULL: none. */
void lvn_command_respond(const struct lvn_command *request, uint16_t status, const char *comment,
                         struct lvn_command *ret_response);

#ifdef __cplusplus
}
#endif
#endif
