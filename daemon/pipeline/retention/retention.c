#include "daemon/pipeline/retention/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/retention/clock_guard.h"
#include "daemon/pipeline/retention/removal.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index_keep.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define OFF_MAX_MS (7 * DAY_MS)
#define STUDIES_PER_TICK 4U
#define EVENT_DAYS 400
#define RETRY_MS 5000
#define WAITING_MAX 4096U
#define CLOCK_FILE "clock.json"
#define CLOCK_FILE_BYTES 4096U
#define DISK_WARNING_SECONDS 3600.0

struct lvn_retention {
  struct lvn_retention_needs needs;
  struct lvn_clock_guard clock_guard;
  int64_t next_ms; /* monotonic, as disk_warned_at */
  char problem[256];
  char disk_notice[128];
  char remark[256];
  double disk_warned_at; /* 0: there is space */
};

bool lvn_retention_create(const struct lvn_retention_needs *needs, struct lvn_retention **ret_retention,
                          struct lvn_error *err) {
  struct lvn_retention *retention = lvn_alloc(1, sizeof *retention, err);
  if (retention == NULL) {
    return false;
  }
  retention->needs = *needs;
  *ret_retention = retention;
  return true;
}

void lvn_retention_destroy(struct lvn_retention *retention) {
  lvn_free(retention);
}

const char *lvn_retention_problem(const struct lvn_retention *retention) {
  return retention->problem;
}

const char *lvn_retention_get_remark(const struct lvn_retention *retention) {
  return retention->remark;
}

const char *lvn_retention_get_disk_notice(const struct lvn_retention *retention) {
  return retention->disk_notice;
}

static struct lvn_removal removal_of(const struct lvn_retention *retention) {
  return (struct lvn_removal){
      .config = retention->needs.config, .index = retention->needs.index, .objects = retention->needs.objects};
}

/* ---- the clock ---- */

static void read_clocks(struct lvn_clock_reading *ret_now) {
  struct timespec boot = {0};
  *ret_now = (struct lvn_clock_reading){.wall_ms = lvn_clock_wall_ms()};
  (void)clock_gettime(CLOCK_BOOTTIME, &boot);
  ret_now->boot_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
  LVN_AUTOCLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? 0 : read(fd, ret_now->boot_id, sizeof ret_now->boot_id - 1);
  ret_now->boot_id[got > 0 ? got : 0] = '\0';
  ret_now->boot_id[strcspn(ret_now->boot_id, "\n")] = '\0';
}

static void load_clock(const struct lvn_retention *retention, struct lvn_clock_guard *guard) {
  struct lvn_error ignored;
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_path_join(path, retention->needs.config->state_folder, CLOCK_FILE, &ignored) || !lvn_file_exists(path) ||
      !lvn_file_read(path, CLOCK_FILE_BYTES, &data, &bytes, &ignored)) {
    return;
  }
  LVN_AUTOJSON json_t *root = json_loadb((const char *)data, bytes, 0, NULL);
  const char *boot_id = json_string_value(json_object_get(root, "boot_id"));
  if (boot_id == NULL || !lvn_copy(guard->boot_id, sizeof guard->boot_id, boot_id)) {
    return;
  }
  guard->has_base = json_is_true(json_object_get(root, "has_base"));
  guard->base_wall_ms = json_integer_value(json_object_get(root, "base_wall_ms"));
  guard->base_boot_ms = json_integer_value(json_object_get(root, "base_boot_ms"));
  guard->last_wall_ms = json_integer_value(json_object_get(root, "last_wall_ms"));
  guard->suspects = json_is_true(json_object_get(root, "suspects"));
  guard->suspect_wall_ms = json_integer_value(json_object_get(root, "suspect_wall_ms"));
  guard->suspect_boot_ms = json_integer_value(json_object_get(root, "suspect_boot_ms"));
  guard->jumped_ms = json_integer_value(json_object_get(root, "jumped_ms"));
  guard->floor_ms = json_integer_value(json_object_get(root, "floor_ms"));
}

static bool store_clock(const struct lvn_retention *retention, struct lvn_error *err) {
  const struct lvn_clock_guard *guard = &retention->clock_guard;
  char path[LVN_PATH_BYTES];
  LVN_AUTOJSON json_t *root = json_pack(
      "{s:s, s:b, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I}", "boot_id", guard->boot_id, "has_base", (int)guard->has_base,
      "base_wall_ms", (json_int_t)guard->base_wall_ms, "base_boot_ms", (json_int_t)guard->base_boot_ms, "last_wall_ms",
      (json_int_t)guard->last_wall_ms, "suspects", (int)guard->suspects, "suspect_wall_ms",
      (json_int_t)guard->suspect_wall_ms, "suspect_boot_ms", (json_int_t)guard->suspect_boot_ms, "jumped_ms",
      (json_int_t)guard->jumped_ms, "floor_ms", (json_int_t)guard->floor_ms);
  LVN_AUTOFREE char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for the clock's file");
  }
  return lvn_path_join(path, retention->needs.config->state_folder, CLOCK_FILE, err) &&
         lvn_file_replace(path, text, strlen(text), 0600, err);
}

static unsigned shortest_days(const struct lvn_config *config) {
  unsigned days = config->keep_days;
  if (config->keep_waiting_days > 0 && (days == 0 || config->keep_waiting_days < days)) {
    days = config->keep_waiting_days;
  }
  return days;
}

static void say_remark(struct lvn_retention *retention, const char *remark) {
  if (strcmp(retention->remark, remark) == 0) {
    return;
  }
  (void)lvn_copy(retention->remark, sizeof retention->remark, remark);
  if (remark[0] == '\0') {
    lvn_log(LVN_LOG_NOTICE, "event=retention-goes-on");
  } else {
    lvn_log(LVN_LOG_WARNING, "event=retention-waits reason=\"%s\"", remark);
  }
}

/* Looks at the clocks, and says why nothing is removed where they forbid it. */
static bool clock_allows(struct lvn_retention *retention, struct lvn_error *err) {
  struct lvn_clock_guard *guard = &retention->clock_guard;
  struct lvn_clock_reading now;
  char remark[sizeof retention->remark] = "";
  unsigned days = shortest_days(retention->needs.config);
  bool allows = true;
  read_clocks(&now);
  if (!guard->is_started) {
    int64_t newest_ms = 0;
    int64_t off_max_ms = days > 0 && days * DAY_MS < OFF_MAX_MS ? days * DAY_MS : OFF_MAX_MS;
    load_clock(retention, guard);
    if (!lvn_index_newest_ms(retention->needs.index, &newest_ms, err)) {
      return false;
    }
    lvn_clock_guard_start(guard, &now, newest_ms, off_max_ms);
  }
  allows = lvn_clock_guard_check(guard, &now);
  if (days > 0 && !allows) {
    (void)snprintf(remark, sizeof remark,
                   "the clock moved by %+.1f days; nothing is removed until it has run evenly for 24 hours",
                   (double)guard->jumped_ms / (double)DAY_MS);
  } else if (days > 0 && !lvn_clock_guard_allows(guard, now.wall_ms - days * DAY_MS)) {
    char since[LVN_TIME_TEXT_BYTES];
    if (guard->floor_ms > 0) {
      lvn_clock_format_utc(guard->floor_ms, since);
      (void)snprintf(remark, sizeof remark, "the clock had moved; the days to keep studies count from %s", since);
    }
  }
  say_remark(retention, remark);
  if (!store_clock(retention, err)) {
    lvn_log_error(LVN_LOG_WARNING, "clock-not-stored", err, "action=retry");
  }
  return allows;
}

/* ---- who is in the way ---- */

static bool waits_in_spool(struct lvn_retention *retention, const char *study_uid, bool *ret_waits,
                           struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (!lvn_spool_list_new(retention->needs.spool, WAITING_MAX, &paths, err)) {
    return false;
  }
  *ret_waits = paths.count == WAITING_MAX; /* too many to look at: taken for granted */
  for (size_t i = 0; i < paths.count && !*ret_waits; i++) {
    struct lvn_error ignored;
    struct lvn_reception_record record;
    *ret_waits = lvn_spool_read_record(paths.names[i], &record, &ignored) &&
                 lvn_spool_may_be_of_study(&record, study_uid, /* if_unknown= */ true);
  }
  return true;
}

/* What is announced or was acknowledged a moment ago stays. */
static bool is_arriving(struct lvn_retention *retention, const char *study_uid, bool *ret_arrives,
                        struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names open_studies = {0};
  *ret_arrives = false;
  if (!lvn_spool_open_studies(retention->needs.spool, &open_studies, err)) {
    return false;
  }
  for (size_t i = 0; i < open_studies.count && !*ret_arrives; i++) {
    *ret_arrives = strcmp(open_studies.names[i], study_uid) == 0;
  }
  return *ret_arrives || waits_in_spool(retention, study_uid, ret_arrives, err);
}

/* ---- removing ---- */

static bool expire(struct lvn_retention *retention, const struct lvn_index_study *study, const char *key,
                   struct lvn_error *err) {
  const struct lvn_removal removal = removal_of(retention);
  size_t objects = 0;
  size_t jobs = 0;
  bool arrives = false;
  if (!is_arriving(retention, study->study_uid, &arrives, err)) {
    return false;
  }
  if (arrives) {
    return true;
  }
  if (!lvn_removal_run(&removal, study, &objects, &jobs, err)) {
    return false;
  }
  lvn_log(LVN_LOG_INFO, "event=expired study=%s state=%s objects=%zu jobs=%zu key=%s", study->name,
          lvn_study_state_name(study->state), objects, jobs, key);
  return true;
}

typedef bool (*list_function)(struct lvn_index *index, int64_t before_ms, size_t limit,
                              struct lvn_index_study **ret_studies, size_t *ret_count, struct lvn_error *err);

static bool expire_listed(struct lvn_retention *retention, list_function list, unsigned days, const char *key,
                          struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  int64_t before_ms = lvn_clock_wall_ms() - (int64_t)days * DAY_MS;
  if (days == 0 || !lvn_clock_guard_allows(&retention->clock_guard, before_ms)) {
    return true;
  }
  bool good = list(retention->needs.index, before_ms, STUDIES_PER_TICK, &studies, &count, err);
  for (size_t i = 0; good && i < count; i++) {
    good = expire(retention, &studies[i], key, err);
  }
  return good;
}

/* False: something that should go could not. */
static bool let_go(struct lvn_retention *retention) {
  struct lvn_error err = {0};
  const struct lvn_config *config = retention->needs.config;
  const struct lvn_removal removal = removal_of(retention);
  bool good = lvn_removal_finish_pending(&removal, &err);
  if (good && clock_allows(retention, &err)) {
    good = lvn_index_prune_events(retention->needs.index, lvn_clock_wall_ms() - EVENT_DAYS * DAY_MS, &err) &&
           expire_listed(retention, lvn_index_list_expired, config->keep_days, "keep_days", &err) &&
           expire_listed(retention, lvn_index_list_unattended, config->keep_waiting_days, "keep_waiting_days", &err);
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "retention-failed", &err, "action=retry");
    (void)snprintf(retention->problem, sizeof retention->problem, "old studies cannot be removed: %.200s", err.message);
  }
  return good;
}

static bool may_remove(struct lvn_retention *retention, const struct lvn_index_study *study, bool force,
                       struct lvn_error *err) {
  struct lvn_index_hindrance hindrance = {0};
  bool arrives = false;
  if (!is_arriving(retention, study->study_uid, &arrives, err) ||
      !lvn_index_study_hindrance(retention->needs.index, study->study_uid, &hindrance, err)) {
    return false;
  }
  if (arrives) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "study %s is being received; ask again when that has ended",
                         study->name);
  }
  if (hindrance.sending > 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "results of study %s are being sent; ask again when that has ended",
                         study->name);
  }
  if (!force && hindrance.running_job_id != 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "study %s is being analysed; wait, or remove it with --force",
                         study->name);
  }
  if (!force && hindrance.unsent > 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT,
                         "%lld results of study %s have not been sent, or not been committed; see livervlm outbound, "
                         "or remove it with --force",
                         (long long)hindrance.unsent, study->name);
  }
  if (hindrance.running_job_id != 0) {
    retention->needs.end_work(retention->needs.user_data, hindrance.running_job_id);
  }
  return true;
}

bool lvn_retention_remove(struct lvn_retention *retention, const char *study, bool force,
                          struct lvn_index_study *ret_study, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  const struct lvn_removal removal = removal_of(retention);
  const struct lvn_index_study_filter filter = {.study_uid = study, .limit = 2};
  size_t count = 0;
  size_t objects = 0;
  size_t jobs = 0;
  if (!lvn_index_list_studies(retention->needs.index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count != 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no study '%.64s'", study);
  }
  if (!may_remove(retention, &studies[0], force, err) ||
      !lvn_removal_run(&removal, &studies[0], &objects, &jobs, err)) {
    return false;
  }
  lvn_log(LVN_LOG_NOTICE, "event=study-removed study=%s state=%s objects=%zu jobs=%zu force=%d", studies[0].name,
          lvn_study_state_name(studies[0].state), objects, jobs, force);
  *ret_study = studies[0];
  ret_study->object_count = (int64_t)objects;
  return true;
}

/* ---- space ---- */

static void watch_disk(struct lvn_retention *retention) {
  const struct lvn_config *config = retention->needs.config;
  struct lvn_error err;
  uint64_t free_bytes = 0;
  int64_t waiting = 0;
  int64_t oldest_ms = 0;
  double now = lvn_clock_monotonic_seconds();
  retention->disk_notice[0] = '\0';
  if (config->spool_warning_bytes == 0 || !lvn_file_free_bytes(config->state_folder, &free_bytes, &err)) {
    return;
  }
  if (free_bytes >= config->spool_warning_bytes) {
    retention->disk_warned_at = 0;
    return;
  }
  (void)snprintf(retention->disk_notice, sizeof retention->disk_notice,
                 "the disk is filling up: %.1f GiB are free; below %.1f GiB nothing more is received",
                 (double)free_bytes / 1073741824.0, (double)config->spool_low_water_bytes / 1073741824.0);
  if (retention->disk_warned_at > 0 && now - retention->disk_warned_at < DISK_WARNING_SECONDS) {
    return;
  }
  retention->disk_warned_at = now;
  if (!lvn_index_count_waiting(retention->needs.index, &waiting, &oldest_ms, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "studies-unreadable", &err, "action=ignored");
  }
  lvn_log(LVN_LOG_WARNING, "event=disk-low free_bytes=%llu waiting_studies=%lld keep_days=%u keep_waiting_days=%u",
          (unsigned long long)free_bytes, (long long)waiting, config->keep_days, config->keep_waiting_days);
}

int64_t lvn_retention_tick(struct lvn_retention *retention, int64_t now_ms) {
  watch_disk(retention);
  if (now_ms >= retention->next_ms) {
    retention->problem[0] = '\0';
    retention->next_ms = now_ms + (let_go(retention) ? LVN_RETENTION_PERIOD_MS : RETRY_MS);
  }
  return retention->next_ms;
}
