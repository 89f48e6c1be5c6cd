#include "dicom/net/services/verification.h"

#include "dicom/net/services/storage.h"

static bool handle(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                   struct lvn_error *err) {
  (void)user_data;
  return lvn_dimse_answer(dimse, request, LVN_STATUS_SUCCESS, NULL, err);
}

struct lvn_dimse_service lvn_verification_service(void) {
  static const char *const classes[] = {LVN_VERIFICATION_CLASS, NULL};
  static const uint16_t fields[] = {LVN_COMMAND_C_ECHO_RQ, 0};
  return (struct lvn_dimse_service){.name = "verification",
                                    .abstract_syntaxes = classes,
                                    .choose_syntax = lvn_storage_choose_syntax,
                                    .roles = LVN_ROLE_SCP,
                                    .command_fields = fields,
                                    .handle = handle};
}
