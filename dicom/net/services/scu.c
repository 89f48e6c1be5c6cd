#include "dicom/net/services/scu.h"

#include "base/memory.h"
#include "dicom/net/dimse/dimse.h"
#include "dicom/net/services/object_source.h"
#include "dicom/net/services/verification.h"
#include "dicom/scan/scan.h"

#include <string.h>

#define EXPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2.1"
#define IMPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2"

struct lvn_scu {
  struct lvn_dimse *dimse;
  bool was_sent; /* all of the last object */
};

static const char *const uncompressed[] = {EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN};

LVN_DEFINE_CLEANUP(lvn_scu, lvn_scu_close)

static bool is_uncompressed(const char *syntax) {
  return syntax == NULL || strcmp(syntax, EXPLICIT_LITTLE_ENDIAN) == 0 || strcmp(syntax, IMPLICIT_LITTLE_ENDIAN) == 0;
}

static bool is_same_syntax(const char *left, const char *right) {
  return is_uncompressed(left) ? is_uncompressed(right) : !is_uncompressed(right) && strcmp(left, right) == 0;
}

/* A context for each kind of file. Returns the number of offers. */
static size_t fill_offers(const struct lvn_scu_file *files, size_t file_count, struct lvn_association_offer *offers) {
  size_t count = 0;
  for (size_t i = 0; i < file_count && count <= LVN_ASSOCIATION_OFFERS_MAX; i++) {
    bool is_seen = false;
    for (size_t k = 0; k < i && !is_seen; k++) {
      is_seen = strcmp(files[k].sop_class_uid, files[i].sop_class_uid) == 0 &&
                is_same_syntax(files[k].transfer_syntax_uid, files[i].transfer_syntax_uid);
    }
    if (!is_seen) {
      const bool is_plain = is_uncompressed(files[i].transfer_syntax_uid);
      offers[count++] = (struct lvn_association_offer){
          .abstract_syntax = files[i].sop_class_uid,
          .transfer_syntaxes = is_plain ? uncompressed : &files[i].transfer_syntax_uid,
          .transfer_syntax_count = is_plain ? sizeof uncompressed / sizeof uncompressed[0] : 1};
    }
  }
  return count;
}

struct lvn_association_target lvn_scu_target(const struct lvn_scu_peer *peer) {
  return (struct lvn_association_target){.host = peer->host,
                                         .port = peer->port,
                                         .called_aet = peer->called_aet,
                                         .calling_aet = peer->calling_aet,
                                         .connect_seconds = peer->connect_seconds,
                                         .idle_seconds = peer->dimse_seconds,
                                         .security = peer->security};
}

bool lvn_scu_open(const struct lvn_scu_peer *peer, const struct lvn_scu_file *files, size_t file_count,
                  struct lvn_scu **ret_scu, struct lvn_error *err) {
  const struct lvn_association_target target = lvn_scu_target(peer);
  static const struct lvn_scu_file echo = {.sop_class_uid = LVN_VERIFICATION_CLASS};
  struct lvn_association_offer offers[LVN_ASSOCIATION_OFFERS_MAX + 1];
  LVN_CLEANUP(lvn_scu_cleanup) struct lvn_scu *scu = lvn_alloc(1, sizeof *scu, err);
  if (scu == NULL) {
    return false;
  }
  const size_t offer_count = file_count == 0 ? fill_offers(&echo, 1, offers) : fill_offers(files, file_count, offers);
  if (!lvn_dimse_request(&target, offers, offer_count, NULL, 0, &scu->dimse, err)) {
    return false;
  }
  *ret_scu = lvn_steal(&scu);
  return true;
}

bool lvn_scu_echo(struct lvn_scu *scu, struct lvn_error *err) {
  const struct lvn_association_context *context =
      lvn_dimse_find_context(scu->dimse, LVN_VERIFICATION_CLASS, NULL, LVN_ROLE_SCU);
  struct lvn_command request = {.field = LVN_COMMAND_C_ECHO_RQ, .sop_class_uid = LVN_VERIFICATION_CLASS};
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  if (context == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the peer accepts no presentation context for Verification");
  }
  if (!lvn_dimse_send_request(scu->dimse, context, &request, NULL, &message_id, err) ||
      !lvn_dimse_await(scu->dimse, message_id, &response, err)) {
    return false;
  }
  return response.command.status == LVN_STATUS_SUCCESS ||
         lvn_error_set(err, LVN_ERROR_PROTOCOL, "the peer answered C-ECHO with status 0x%04x",
                       (unsigned)response.command.status);
}

/* Those that this node sends, as a peer's setup names them; of others the UID. */
static const char *name_class(const char *sop_class_uid) {
  static const struct {
    const char *uid;
    const char *name;
  } classes[] = {{"1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR (1.2.840.10008.5.1.4.1.1.88.34)"},
                 {"1.2.840.10008.5.1.4.1.1.7", "Secondary Capture (1.2.840.10008.5.1.4.1.1.7)"}};
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
    if (strcmp(classes[i].uid, sop_class_uid) == 0) {
      return classes[i].name;
    }
  }
  return sop_class_uid;
}

/* The file's own coding, or one that it can be encoded in. */
static const struct lvn_association_context *find_context(const struct lvn_scu *scu, const char *sop_class_uid,
                                                          const char *syntax) {
  const struct lvn_association_context *context =
      lvn_dimse_find_context(scu->dimse, sop_class_uid, syntax, LVN_ROLE_SCU);
  for (size_t i = 0; context == NULL && is_uncompressed(syntax) && i < 2; i++) {
    context = lvn_dimse_find_context(scu->dimse, sop_class_uid, uncompressed[i], LVN_ROLE_SCU);
  }
  return context;
}

static bool send_object(struct lvn_scu *scu, const struct lvn_association_context *context, struct lvn_command *request,
                        const struct lvn_dimse_source *data, uint16_t *ret_status, struct lvn_error *err) {
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  scu->was_sent = lvn_dimse_send_request(scu->dimse, context, request, data, &message_id, err);
  if (!scu->was_sent || !lvn_dimse_await(scu->dimse, message_id, &response, err)) {
    err->code = err->code == LVN_ERROR_DATA ? LVN_ERROR_IO : err->code; /* a file that failed on the way */
    return false;
  }
  *ret_status = response.command.status;
  return true;
}

bool lvn_scu_store(struct lvn_scu *scu, const struct lvn_scu_file *file, uint16_t *ret_status, struct lvn_error *err) {
  struct lvn_scan scan;
  struct lvn_dimse_source data;
  struct lvn_command request = {.field = LVN_COMMAND_C_STORE_RQ};
  scu->was_sent = false;
  if (!lvn_scan_file(file->path, &scan, err)) {
    err->code = LVN_ERROR_DATA;
    return false;
  }
  const struct lvn_association_context *context = find_context(scu, file->sop_class_uid, scan.transfer_syntax_uid);
  if (context == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "the peer does not take %s: enable that storage class there (no presentation context)",
                         name_class(file->sop_class_uid));
  }
  (void)lvn_copy(request.sop_class_uid, sizeof request.sop_class_uid, file->sop_class_uid);
  (void)lvn_copy(request.sop_instance_uid, sizeof request.sop_instance_uid, scan.sop_instance_uid);
  if (!lvn_object_source_open(file->path, &scan, context->transfer_syntax, &data, err)) {
    return false;
  }
  const bool is_answered = send_object(scu, context, &request, &data, ret_status, err);
  lvn_object_source_close(&data);
  return is_answered;
}

bool lvn_scu_was_sent(const struct lvn_scu *scu) {
  return scu->was_sent;
}

const char *lvn_scu_describe_security(const struct lvn_scu *scu, char *text, size_t text_bytes) {
  return lvn_dimse_describe_security(scu->dimse, text, text_bytes);
}

void lvn_scu_close(struct lvn_scu *scu) {
  if (scu != NULL) {
    lvn_dimse_close(scu->dimse);
    lvn_free(scu);
  }
}
