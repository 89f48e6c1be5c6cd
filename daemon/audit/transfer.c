#include "daemon/audit/transfer.h"

#include "base/memory.h"

#include <string.h>

#define ROWS_MAX 100000U /* studies times classes of one association */
#define TEXT_BYTES 65
#define CLASSES_MAX 32U

struct row {
  char study_uid[TEXT_BYTES];
  char patient_id[TEXT_BYTES];
  char sop_class_uid[TEXT_BYTES];
  uint32_t instances;
};

struct lvn_audit_transfer {
  struct row *rows;
  size_t count;
  size_t capacity;
};

bool lvn_audit_transfer_create(struct lvn_audit_transfer **ret_transfer, struct lvn_error *err) {
  *ret_transfer = lvn_alloc(1, sizeof **ret_transfer, err);
  return *ret_transfer != NULL;
}

void lvn_audit_transfer_destroy(struct lvn_audit_transfer *transfer) {
  if (transfer != NULL) {
    lvn_free(transfer->rows);
    lvn_free(transfer);
  }
}

bool lvn_audit_transfer_add(struct lvn_audit_transfer *transfer, const char *study_uid, const char *patient_id,
                            const char *sop_class_uid, struct lvn_error *err) {
  for (size_t i = transfer->count; i-- > 0;) { /* objects of one kind come one after another */
    struct row *row = &transfer->rows[i];
    if (strcmp(row->study_uid, study_uid) == 0 && strcmp(row->sop_class_uid, sop_class_uid) == 0) {
      row->instances++;
      return true;
    }
  }
  if (!lvn_grow(&transfer->rows, &transfer->capacity, transfer->count, sizeof *transfer->rows, ROWS_MAX, err)) {
    return false;
  }
  struct row *row = &transfer->rows[transfer->count++];
  (void)lvn_copy(row->study_uid, sizeof row->study_uid, study_uid);
  (void)lvn_copy(row->patient_id, sizeof row->patient_id, patient_id);
  (void)lvn_copy(row->sop_class_uid, sizeof row->sop_class_uid, sop_class_uid);
  row->instances = 1;
  return true;
}

static bool is_first_of_study(const struct lvn_audit_transfer *transfer, size_t position) {
  for (size_t i = 0; i < position; i++) {
    if (strcmp(transfer->rows[i].study_uid, transfer->rows[position].study_uid) == 0) {
      return false;
    }
  }
  return true;
}

void lvn_audit_transfer_write(const struct lvn_audit_transfer *transfer, const struct lvn_config *config,
                              const struct lvn_audit_event *event) {
  for (size_t i = 0; i < transfer->count; i++) {
    struct lvn_audit_class classes[CLASSES_MAX];
    struct lvn_audit_event of_study = *event;
    if (!is_first_of_study(transfer, i)) {
      continue;
    }
    of_study.study_uid = transfer->rows[i].study_uid;
    of_study.patient_id = transfer->rows[i].patient_id;
    of_study.classes = classes;
    for (size_t k = i; k < transfer->count && of_study.class_count < CLASSES_MAX; k++) {
      if (strcmp(transfer->rows[k].study_uid, of_study.study_uid) == 0) {
        classes[of_study.class_count++] = (struct lvn_audit_class){.sop_class_uid = transfer->rows[k].sop_class_uid,
                                                                   .instances = transfer->rows[k].instances};
      }
    }
    lvn_audit_write(config, &of_study);
  }
}
