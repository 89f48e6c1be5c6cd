#include "dicom/net/services/storage.h"

#include <string.h>

static uint16_t begin(struct lvn_storage *storage, const struct lvn_dimse_message *request, bool *ret_is_asked) {
  const struct lvn_storage_object object = {.sop_class_uid = request->command.sop_class_uid,
                                            .sop_instance_uid = request->command.sop_instance_uid,
                                            .transfer_syntax_uid = request->context->transfer_syntax};
  *ret_is_asked = storage->object_count < storage->max_objects;
  if (*ret_is_asked) {
    storage->object_count++;
    return storage->handler.begin(storage->handler.user_data, &object);
  }
  if (!storage->is_limit_told) {
    storage->is_limit_told = true;
    storage->handler.limit_reached(storage->handler.user_data);
  }
  return LVN_STORE_OUT_OF_RESOURCES;
}

static bool handle(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                   struct lvn_error *err) {
  struct lvn_storage *storage = user_data;
  const struct lvn_storage_handler *handler = &storage->handler;
  const bool is_same_class = strcmp(request->context->abstract_syntax, request->command.sop_class_uid) == 0;
  bool is_asked = false;
  bool is_too_large = false;
  if (!request->command.has_data_set) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a C-STORE without a data set");
  }
  uint16_t status = begin(storage, request, &is_asked);
  const bool is_begun = is_asked && status == LVN_STORE_SUCCESS;
  const bool is_whole =
      lvn_dimse_receive_data(dimse, storage->max_object_bytes, is_begun && is_same_class ? handler->data : NULL,
                             handler->user_data, &is_too_large, err);
  if (is_begun) {
    const enum lvn_storage_end how = !is_whole        ? LVN_END_CUT_OFF
                                     : !is_same_class ? LVN_END_OTHER_CLASS
                                     : is_too_large   ? LVN_END_TOO_LARGE
                                                      : LVN_END_WHOLE;
    status = handler->end(handler->user_data, how);
  }
  const bool is_explained = status != LVN_STORE_SUCCESS && handler->explain != NULL && is_asked;
  return is_whole &&
         lvn_dimse_answer(dimse, request, status, is_explained ? handler->explain(handler->user_data) : NULL, err);
}

static bool offers(void *user_data, const char *abstract_syntax) {
  const struct lvn_storage *storage = user_data;
  return lvn_storage_stores_class(abstract_syntax, storage->further_classes);
}

struct lvn_dimse_service lvn_storage_service(struct lvn_storage *storage) {
  static const uint16_t fields[] = {LVN_COMMAND_C_STORE_RQ, 0};
  return (struct lvn_dimse_service){.name = "storage",
                                    .offers = offers,
                                    .choose_syntax = lvn_storage_choose_syntax,
                                    .roles = LVN_ROLE_SCP,
                                    .command_fields = fields,
                                    .handle = handle,
                                    .user_data = storage};
}
