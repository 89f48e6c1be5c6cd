#include "daemon/pipeline/shared/intake.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "dicom/scan/meta.h"
#include "dicom/scan/scan.h"

#define HEADER_BYTES_MAX 65536U /* private information in the meta header makes some longer than usual */

struct lvn_intake {
  struct lvn_intake_options options;
  struct lvn_spool_marker *marker;
  char association_id[33];
  struct lvn_spool_writer *writer; /* NULL before the object's header is known */
  struct lvn_meta meta;
  size_t header_count;
  struct lvn_intake_counts counts;
  struct lvn_reception_record last;
  uint8_t header[HEADER_BYTES_MAX];
};

bool lvn_intake_open(const struct lvn_intake_options *options, struct lvn_intake **ret_intake, struct lvn_error *err) {
  uint8_t random[16];
  struct lvn_intake *intake = lvn_alloc(1, sizeof *intake, err);
  if (intake == NULL) {
    return false;
  }
  intake->options = *options;
  if (!lvn_file_random(random, sizeof random, err)) {
    lvn_free(intake);
    return false;
  }
  for (size_t i = 0; i < sizeof random; i++) {
    (void)snprintf(intake->association_id + 2 * i, 3, "%02x", random[i]);
  }
  if (!lvn_spool_marker_create(options->spool, intake->association_id, &intake->marker, err)) {
    lvn_free(intake);
    return false;
  }
  *ret_intake = intake;
  return true;
}

void lvn_intake_close(struct lvn_intake *intake) {
  if (intake != NULL) {
    lvn_spool_abandon(intake->writer);
    lvn_spool_marker_destroy(intake->marker);
    lvn_free(intake);
  }
}

struct lvn_intake_counts lvn_intake_get_counts(const struct lvn_intake *intake) {
  return intake->counts;
}

const struct lvn_reception_record *lvn_intake_get_last(const struct lvn_intake *intake) {
  return &intake->last;
}

bool lvn_intake_begin(void *pointer, struct lvn_error *err) {
  struct lvn_intake *intake = pointer;
  const struct lvn_config *config = intake->options.config;
  uint64_t free_bytes = 0;
  lvn_spool_abandon(lvn_steal(&intake->writer));
  intake->header_count = 0;
  if (!lvn_file_free_bytes(config->state_folder, &free_bytes, err)) {
    return false;
  }
  return free_bytes >= config->spool_reserve_bytes ||
         lvn_error_set(err, LVN_ERROR_NOSPACE, "less disk space than spool_reserve_bytes");
}

/* Our header, whatever the file's says besides. */
static bool begin_object(struct lvn_intake *intake, struct lvn_error *err) {
  uint8_t header[LVN_META_BYTES_MAX];
  size_t bytes = 0;
  const struct lvn_meta *meta = &intake->meta;
  return lvn_meta_format(meta->sop_class_uid, meta->sop_instance_uid, meta->transfer_syntax_uid, header, &bytes, err) &&
         lvn_spool_begin(intake->options.spool, &intake->writer, err) &&
         lvn_spool_write(intake->writer, header, bytes, err) &&
         lvn_spool_write(intake->writer, intake->header + meta->dataset_offset,
                         intake->header_count - meta->dataset_offset, err);
}

bool lvn_intake_data(void *pointer, const void *data, size_t bytes, struct lvn_error *err) {
  struct lvn_intake *intake = pointer;
  if (intake->writer != NULL) {
    return lvn_spool_write(intake->writer, data, bytes, err);
  }
  size_t room = sizeof intake->header - intake->header_count;
  size_t count = bytes < room ? bytes : room;
  bool is_whole = false;
  memcpy(intake->header + intake->header_count, data, count);
  intake->header_count += count;
  if (!lvn_meta_parse(intake->header, intake->header_count, &intake->meta, &is_whole, err)) {
    return false;
  }
  if (!is_whole) {
    return intake->header_count < sizeof intake->header ||
           lvn_error_set(err, LVN_ERROR_DATA, "its meta information is longer than %u bytes", HEADER_BYTES_MAX);
  }
  return begin_object(intake, err) &&
         (count == bytes || lvn_spool_write(intake->writer, (const uint8_t *)data + count, bytes - count, err));
}

static bool check(const struct lvn_intake *intake, struct lvn_scan *ret_scan, struct lvn_error *err) {
  if (intake->writer == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "it ends within its meta information");
  }
  return lvn_scan_file(lvn_spool_writer_get_path(intake->writer), ret_scan, err) &&
         ((strcmp(ret_scan->sop_class_uid, intake->meta.sop_class_uid) == 0 &&
           strcmp(ret_scan->sop_instance_uid, intake->meta.sop_instance_uid) == 0) ||
          lvn_error_set(err, LVN_ERROR_DATA, "class or instance UID differ between meta information and data set"));
}

bool lvn_intake_end(void *pointer, struct lvn_error *err) {
  struct lvn_intake *intake = pointer;
  struct lvn_scan scan;
  struct lvn_reception_record record = {.received_ms = lvn_clock_wall_ms()};
  if (!check(intake, &scan, err)) {
    lvn_spool_abandon(lvn_steal(&intake->writer));
    return false;
  }
  (void)lvn_copy(record.sop_class_uid, sizeof record.sop_class_uid, scan.sop_class_uid);
  (void)lvn_copy(record.sop_instance_uid, sizeof record.sop_instance_uid, scan.sop_instance_uid);
  (void)lvn_copy(record.transfer_syntax_uid, sizeof record.transfer_syntax_uid, intake->meta.transfer_syntax_uid);
  (void)lvn_copy(record.study_instance_uid, sizeof record.study_instance_uid, scan.study_instance_uid);
  (void)lvn_copy(record.series_instance_uid, sizeof record.series_instance_uid, scan.series_instance_uid);
  (void)lvn_copy(record.calling_aet, sizeof record.calling_aet, intake->options.aet);
  (void)lvn_copy(record.address, sizeof record.address, intake->options.address);
  (void)lvn_copy(record.association_id, sizeof record.association_id, intake->association_id);
  /* Named before it exists: the pipeline never sees an object of a study that it takes for quiet. */
  if (!lvn_spool_marker_add_study(intake->marker, scan.study_instance_uid, err) ||
      !lvn_spool_commit(lvn_steal(&intake->writer), &record, err)) {
    lvn_spool_abandon(lvn_steal(&intake->writer));
    return false;
  }
  intake->counts.stored++;
  intake->counts.duplicate += record.already_stored ? 1 : 0;
  intake->counts.bytes += record.byte_count;
  intake->last = record;
  return true;
}
