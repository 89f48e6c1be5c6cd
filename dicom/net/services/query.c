#include "dicom/net/services/query.h"

#include "base/memory.h"
#include "base/sha256.h"
#include "dicom/net/services/elements.h"

#include <stdlib.h>
#include <string.h>

#define FIND_CLASS "1.2.840.10008.5.1.4.1.2.2.1"
#define MOVE_CLASS "1.2.840.10008.5.1.4.1.2.2.2"
#define GET_CLASS "1.2.840.10008.5.1.4.1.2.2.3"
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define SYNTAXES_MAX 32U
/* Archives that send no pending answers are silent for as long as a series takes. */
#define RETRIEVE_PATIENCE 10U

#define LEVEL 0x00080052U
#define MODALITY 0x00080060U
#define STUDY_UID 0x0020000DU
#define SERIES_UID 0x0020000EU
#define STUDY_SERIES_COUNT 0x00201206U
#define SERIES_OBJECT_COUNT 0x00201209U

struct lvn_query {
  struct lvn_dimse *dimse;
  struct lvn_dimse_service service; /* of C-GET's objects */
  bool gets;
};

static const char *const uncompressed[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"};

LVN_DEFINE_CLEANUP(lvn_query, lvn_query_close)

static struct lvn_association_offer offer_service(const char *abstract_syntax) {
  return (struct lvn_association_offer){
      .abstract_syntax = abstract_syntax, .transfer_syntaxes = uncompressed, .transfer_syntax_count = 2};
}

/* The classes that are analysed, each in one context: the archive chooses its coding once for all objects of it. */
static size_t offer_storage(struct lvn_association_offer *offers, size_t count) {
  const char *const *syntaxes = lvn_storage_transfer_syntaxes();
  size_t syntax_count = 0;
  while (syntaxes[syntax_count] != NULL) {
    syntax_count++;
  }
  for (const char *const *at = lvn_storage_classes(); *at != NULL && count < LVN_ASSOCIATION_OFFERS_MAX; at++) {
    offers[count++] = (struct lvn_association_offer){.abstract_syntax = *at,
                                                     .transfer_syntaxes = syntaxes,
                                                     .transfer_syntax_count = syntax_count,
                                                     .roles = LVN_ROLE_SCP};
  }
  return count;
}

bool lvn_query_open(const struct lvn_scu_peer *peer, struct lvn_storage *storage, struct lvn_query **ret_query,
                    struct lvn_error *err) {
  struct lvn_association_offer offers[LVN_ASSOCIATION_OFFERS_MAX];
  struct lvn_association_target target = lvn_scu_target(peer);
  LVN_CLEANUP(lvn_query_cleanup) struct lvn_query *query = lvn_alloc(1, sizeof *query, err);
  size_t count = 0;
  if (query == NULL) {
    return false;
  }
  target.idle_seconds *= RETRIEVE_PATIENCE;
  query->gets = storage != NULL;
  offers[count++] = offer_service(FIND_CLASS);
  offers[count++] = offer_service(query->gets ? GET_CLASS : MOVE_CLASS);
  if (query->gets) {
    query->service = lvn_storage_service(storage);
    count = offer_storage(offers, count);
  }
  if (!lvn_dimse_request(&target, offers, count, query->gets ? &query->service : NULL, query->gets ? 1 : 0,
                         &query->dimse, err)) {
    return false;
  }
  if (lvn_dimse_find_context(query->dimse, FIND_CLASS, NULL, LVN_ROLE_SCU) == NULL ||
      lvn_dimse_find_context(query->dimse, offers[1].abstract_syntax, NULL, LVN_ROLE_SCU) == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "it does not offer C-FIND and %s (study root)",
                         query->gets ? "C-GET" : "C-MOVE");
  }
  *ret_query = lvn_steal(&query);
  return true;
}

void lvn_query_close(struct lvn_query *query) {
  if (query != NULL) {
    lvn_dimse_close(query->dimse);
    lvn_free(query);
  }
}

static bool send(struct lvn_query *query, const char *sop_class, struct lvn_command *command,
                 const struct lvn_elements *identifier, const struct lvn_association_context **ret_context,
                 uint16_t *ret_message_id, struct lvn_error *err) {
  const struct lvn_association_context *context = lvn_dimse_find_context(query->dimse, sop_class, NULL, LVN_ROLE_SCU);
  struct lvn_dimse_bytes bytes = {.bytes = identifier->bytes, .count = identifier->count};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
  (void)lvn_copy(command->sop_class_uid, sizeof command->sop_class_uid, sop_class);
  *ret_context = context;
  return lvn_elements_check(identifier, err) &&
         lvn_dimse_send_request(query->dimse, context, command, &data, ret_message_id, err);
}

static bool is_explicit_for(const struct lvn_query *query, const char *sop_class) {
  return lvn_elements_is_explicit(lvn_dimse_find_context(query->dimse, sop_class, NULL, LVN_ROLE_SCU)->transfer_syntax);
}

/* ---- C-FIND ---- */

struct answer {
  struct lvn_query_series series;
  char study_uid[65];
};

static bool take_element(void *user_data, const struct lvn_element *element, struct lvn_error *err) {
  struct answer *answer = user_data;
  char number[17];
  (void)err;
  if (element->depth > 0) {
    return true;
  }
  switch (element->tag) {
  case MODALITY:
    (void)lvn_elements_get_text(element, answer->series.modality, sizeof answer->series.modality);
    break;
  case STUDY_UID:
    (void)lvn_elements_get_text(element, answer->study_uid, sizeof answer->study_uid);
    break;
  case SERIES_UID:
    (void)lvn_elements_get_text(element, answer->series.series_uid, sizeof answer->series.series_uid);
    break;
  case SERIES_OBJECT_COUNT:
    if (lvn_elements_get_text(element, number, sizeof number) && number[0] != '\0') {
      answer->series.object_count = strtoll(number, NULL, 10);
    }
    break;
  default:
    break;
  }
  return true;
}

struct answers {
  struct answer *answers; /* owned */
  size_t count;
  size_t capacity;
};

static bool take_answer(struct lvn_query *query, bool is_explicit, struct answers *all, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *bytes = NULL;
  size_t count = 0;
  if (!lvn_dimse_receive_bytes(query->dimse, ANSWER_BYTES_MAX, &bytes, &count, err) ||
      !lvn_grow(&all->answers, &all->capacity, all->count, sizeof *all->answers, SIZE_MAX / sizeof *all->answers,
                err)) {
    return false;
  }
  struct answer *answer = &all->answers[all->count++];
  *answer = (struct answer){.series.object_count = -1};
  return lvn_elements_read(bytes, count, is_explicit, take_element, answer, err);
}

static bool find(struct lvn_query *query, const struct lvn_elements *identifier, size_t max_count, struct answers *all,
                 struct lvn_error *err) {
  struct lvn_command command = {.field = LVN_COMMAND_C_FIND_RQ};
  const struct lvn_association_context *context = NULL;
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  bool is_cancelled = false;
  if (!send(query, FIND_CLASS, &command, identifier, &context, &message_id, err)) {
    return false;
  }
  for (;;) {
    if (!lvn_dimse_await(query->dimse, message_id, &response, err)) {
      return false;
    }
    if (!lvn_command_is_pending(&response.command)) {
      break;
    }
    if (all->count < max_count && response.command.has_data_set) {
      if (!take_answer(query, identifier->is_explicit, all, err)) {
        return false;
      }
    } else if (!is_cancelled) {
      is_cancelled = true;
      if (!lvn_dimse_cancel(query->dimse, context, message_id, err)) {
        return false;
      }
    }
  }
  return response.command.status == LVN_STATUS_SUCCESS ||
         (is_cancelled && response.command.status == LVN_STATUS_CANCEL) ||
         lvn_error_set(err, LVN_ERROR_PROTOCOL, "it answered C-FIND with 0x%04X%s%s", (unsigned)response.command.status,
                       response.command.error_comment[0] != '\0' ? ": " : "", response.command.error_comment);
}

static bool has_study(struct lvn_query *query, const char *study_uid, bool *ret_has, struct lvn_error *err) {
  struct lvn_elements identifier = {.is_explicit = is_explicit_for(query, FIND_CLASS)};
  struct answers all = {0};
  lvn_elements_put_text(&identifier, LEVEL, "CS", "STUDY");
  lvn_elements_put_text(&identifier, STUDY_UID, "UI", study_uid);
  lvn_elements_put_text(&identifier, STUDY_SERIES_COUNT, "IS", "");
  const bool good = find(query, &identifier, 4, &all, err);
  *ret_has = false;
  for (size_t i = 0; i < all.count; i++) {
    *ret_has = *ret_has || strcmp(all.answers[i].study_uid, study_uid) == 0;
  }
  lvn_free(all.answers);
  lvn_free(identifier.bytes);
  return good;
}

static bool list_all(struct lvn_query *query, const char *study_uid, size_t max_count, struct answers *all,
                     struct lvn_error *err) {
  struct lvn_elements identifier = {.is_explicit = is_explicit_for(query, FIND_CLASS)};
  lvn_elements_put_text(&identifier, LEVEL, "CS", "SERIES");
  lvn_elements_put_text(&identifier, MODALITY, "CS", "");
  lvn_elements_put_text(&identifier, STUDY_UID, "UI", study_uid);
  lvn_elements_put_text(&identifier, SERIES_UID, "UI", "");
  lvn_elements_put_text(&identifier, SERIES_OBJECT_COUNT, "IS", "");
  const bool good = find(query, &identifier, max_count, all, err);
  lvn_free(identifier.bytes);
  return good;
}

bool lvn_query_list_series(struct lvn_query *query, const char *study_uid, size_t max_count,
                           struct lvn_query_series **ret_series, size_t *ret_count, struct lvn_error *err) {
  struct answers all = {0};
  bool has = false;
  *ret_count = 0;
  bool good = has_study(query, study_uid, &has, err) && (!has || list_all(query, study_uid, max_count, &all, err));
  LVN_AUTOFREE struct lvn_query_series *series = good ? lvn_alloc(all.count, sizeof *series, err) : NULL;
  good = series != NULL;
  for (size_t i = 0; good && i < all.count; i++) {
    const struct answer *answer = &all.answers[i];
    /* An answer need not repeat the unique key of the level above. */
    const bool is_ours = answer->study_uid[0] == '\0' || strcmp(answer->study_uid, study_uid) == 0;
    if (is_ours && lvn_uid_is_valid(answer->series.series_uid)) {
      series[(*ret_count)++] = answer->series;
    }
  }
  lvn_free(all.answers);
  if (good) {
    *ret_series = lvn_steal(&series);
  }
  return good;
}

/* ---- C-MOVE, C-GET ---- */

static void note(const struct lvn_command *response, struct lvn_query_retrieved *retrieved) {
  retrieved->status = response->status;
  if ((response->has & LVN_COMMAND_HAS_COMPLETED) != 0) {
    retrieved->completed = response->completed_count;
    if ((response->has & LVN_COMMAND_HAS_WARNING) != 0) {
      retrieved->completed += response->warning_count;
    }
  }
  if ((response->has & LVN_COMMAND_HAS_FAILED) != 0) {
    retrieved->failed = response->failed_count;
  }
}

bool lvn_query_retrieve(struct lvn_query *query, const char *study_uid, const char *series_uid,
                        const char *destination_aet,
                        bool (*goes_on)(void *user_data, const struct lvn_query_retrieved *retrieved), void *user_data,
                        struct lvn_query_retrieved *ret_retrieved, struct lvn_error *err) {
  const char *sop_class = query->gets ? GET_CLASS : MOVE_CLASS;
  struct lvn_command command = {.field = query->gets ? LVN_COMMAND_C_GET_RQ : LVN_COMMAND_C_MOVE_RQ};
  struct lvn_elements identifier = {.is_explicit = is_explicit_for(query, sop_class)};
  const struct lvn_association_context *context = NULL;
  struct lvn_dimse_message response = {0};
  uint16_t message_id = 0;
  *ret_retrieved = (struct lvn_query_retrieved){0};
  if (!query->gets) {
    (void)lvn_copy(command.move_destination, sizeof command.move_destination, destination_aet);
  }
  lvn_elements_put_text(&identifier, LEVEL, "CS", "SERIES");
  lvn_elements_put_text(&identifier, STUDY_UID, "UI", study_uid);
  lvn_elements_put_text(&identifier, SERIES_UID, "UI", series_uid);
  bool good = send(query, sop_class, &command, &identifier, &context, &message_id, err);
  lvn_free(identifier.bytes);
  while (good && (good = lvn_dimse_await(query->dimse, message_id, &response, err))) {
    note(&response.command, ret_retrieved);
    if (!lvn_command_is_pending(&response.command)) {
      break;
    }
    if (!ret_retrieved->is_cancelled && !goes_on(user_data, ret_retrieved)) {
      ret_retrieved->is_cancelled = true;
      good = lvn_dimse_cancel(query->dimse, context, message_id, err);
    }
  }
  return good;
}
