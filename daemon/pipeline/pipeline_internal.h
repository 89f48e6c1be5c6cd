/* Inside of the pipeline role: its one state, on its one thread, and what each file does in a turn of the loop. */
#ifndef LVN_DAEMON_PIPELINE_INTERNAL_H
#define LVN_DAEMON_PIPELINE_INTERNAL_H

#include "config/config.h"
#include "daemon/base/memory.h"
#include "daemon/pipeline/channel.h"
#include "daemon/pipeline/clock_guard.h"
#include "daemon/pipeline/sender.h"
#include "daemon/web/web.h"
#include "storage/index.h"
#include "storage/index_restore.h"
#include "storage/objects.h"
#include "storage/spool.h"

#include <jansson.h>
#include <poll.h>

#define LVN_PIPELINE_CONTROLS_MAX 16
#define LVN_PIPELINE_WORKERS_MAX 8
#define LVN_PIPELINE_POLL_MAX (8 + LVN_PIPELINE_CONTROLS_MAX + LVN_PIPELINE_WORKERS_MAX)

struct lvn_pipeline_worker {
  struct lvn_channel *channel;
  pid_t pid; /* by the kernel's word */
  bool has_greeted;
  struct lvn_index_model model;
  int64_t job_id; /* 0: idle */
  double job_started_at;
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  bool was_killed; /* over job_seconds_max */
};

enum lvn_pipeline_stage { LVN_STAGE_SETTLE, LVN_STAGE_QUEUE, LVN_STAGE_ANALYSIS, LVN_STAGE_SEND, LVN_STAGE_COUNT };

struct lvn_pipeline_stats {
  double stage_seconds[LVN_STAGE_COUNT];
  uint64_t stage_count[LVN_STAGE_COUNT];
  uint64_t objects_stored;
  uint64_t bytes_stored;
  uint64_t objects_refused;
  uint64_t worker_connections;
  uint64_t worker_losses;
  uint64_t worker_kills;
};

struct lvn_pipeline {
  const char *config_path;
  struct lvn_config config;
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
  struct lvn_sender *sender;
  struct lvn_web *web; /* NULL: off */
  int signal_fd;
  int inotify_fd;
  int control_fd;
  int worker_fd;
  bool stops;
  bool has_model; /* some worker has greeted since the start */
  struct lvn_index_model model;
  struct lvn_channel *controls[LVN_PIPELINE_CONTROLS_MAX];
  struct lvn_pipeline_worker workers[LVN_PIPELINE_WORKERS_MAX];
  size_t worker_count;
  struct lvn_pipeline_stats stats;
  int64_t started_ms;
  int64_t last_event_id;
  int64_t next_minute_ms;
  int64_t next_publish_ms;
  int64_t spool_retry_ms; /* an object could not be taken: not tried again before */
  int64_t wake_ms;        /* the turn's answer: when something is due next */
  char problem[256];      /* of the last turn, for /health */
  struct lvn_clock_guard clock_guard;
  char retention_remark[256]; /* why nothing is removed though its time has come; empty: nothing is held back */
  int64_t sent_complete_to;   /* outbound row */
  double disk_warned_at;      /* monotonic; 0: there is space */
};

void lvn_pipeline_json_cleanup(json_t **value);
#define LVN_AUTOJSON LVN_CLEANUP(lvn_pipeline_json_cleanup)

void lvn_pipeline_wake_at(struct lvn_pipeline *pipeline, int64_t at_ms);
void lvn_pipeline_count_stage(struct lvn_pipeline *pipeline, enum lvn_pipeline_stage stage, double seconds);

/* ingest.c: everything that waits in the spool goes to the store and the index. */
void lvn_ingest_turn(struct lvn_pipeline *pipeline);
/* Reads what the index needs of a stored object. */
LVN_MUST_CHECK bool lvn_ingest_describe(const char *path, const struct lvn_spool_facts *facts,
                                        struct lvn_index_object *ret_object, char ret_patient_id[LVN_UID_BYTES],
                                        char ret_issuer[LVN_UID_BYTES], struct lvn_error *err);

/* assembly.c: studies that settled become jobs, or say what they wait for. */
void lvn_assembly_turn(struct lvn_pipeline *pipeline);
enum lvn_index_role lvn_assembly_role(const char *sop_class_uid);

/* jobs.c */
void lvn_jobs_accept(struct lvn_pipeline *pipeline);
void lvn_jobs_receive(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker);
void lvn_jobs_turn(struct lvn_pipeline *pipeline);
size_t lvn_jobs_count_running(const struct lvn_pipeline *pipeline);
/* Puts the finished job's outcome into the index, with the destinations of its results. */
LVN_MUST_CHECK bool lvn_jobs_finish(struct lvn_pipeline *pipeline, int64_t job_id, const char *outcome,
                                    const char *sentence, const struct lvn_index_result *results, size_t result_count,
                                    struct lvn_error *err);

/* jobfile.c: results/<job_id>/job.json, what a rebuild needs to know of a job. */
struct lvn_jobfile {
  struct lvn_index_job job;
  char outcome[LVN_INDEX_STATE_BYTES];  /* empty: not finished, or it no longer counts */
  char recorded[LVN_INDEX_STATE_BYTES]; /* the outcome that it had, whether it counts or not; filled by reading */
  char sentence[LVN_INDEX_SENTENCE_BYTES];
  struct lvn_index_result *results; /* owned */
  size_t result_count;
  bool has_destinations; /* false: an older file, which does not say */
  size_t destination_count;
  char destinations[LVN_CONFIG_PEERS_MAX][64]; /* peers that get the results */
};
LVN_MUST_CHECK bool lvn_jobfile_folder(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_jobfile_write(const struct lvn_config *config, const struct lvn_jobfile *file,
                                      struct lvn_error *err);
/* *ret_found false when there is none. A finished one is checked: every result file exists with its digest, otherwise
 * its outcome is emptied. */
LVN_MUST_CHECK bool lvn_jobfile_read(const struct lvn_config *config, int64_t job_id, struct lvn_jobfile *ret_file,
                                     bool *ret_found, struct lvn_error *err);
/* The outcome counts no longer: the next attempt works. The results stay known. */
LVN_MUST_CHECK bool lvn_jobfile_forget(const struct lvn_config *config, int64_t job_id, struct lvn_error *err);
/* Fills in when the job finished and where its results go. */
LVN_MUST_CHECK bool lvn_jobfile_route(struct lvn_pipeline *pipeline, struct lvn_jobfile *file, struct lvn_error *err);
void lvn_jobfile_clear(struct lvn_jobfile *file);

/* outbound.c */
void lvn_outbound_turn(struct lvn_pipeline *pipeline);
/* Names of the peers that get the results of a study that came from this address and AE title: those of the sender's
 * results_to; else the peers with receives_results; else the sender itself, when it can be reached. */
size_t lvn_outbound_destinations(const struct lvn_config *config, const char *source_aet, const char *source_address,
                                 const char **ret_names, size_t max_count);

/* sentfile.c: results/<job_id>/sent.jsonl, which destinations have which results: a rebuild must not send them again.
 */
void lvn_sentfile_remember(struct lvn_pipeline *pipeline, int64_t outbound_id);
/* Some of the notes that could not be made, or that an older release did not make, a turn; each row is looked at once.
 */
LVN_MUST_CHECK bool lvn_sentfile_complete(struct lvn_pipeline *pipeline, struct lvn_error *err);
typedef bool (*lvn_sentfile_visitor)(void *user_data, const struct lvn_index_sent *sent, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sentfile_each(const struct lvn_config *config, int64_t job_id, lvn_sentfile_visitor visit,
                                      void *user_data, struct lvn_error *err);

/* mending.c: a damaged object was replaced; what was decided with it is decided again. */
LVN_MUST_CHECK bool lvn_mending_note(struct lvn_pipeline *pipeline, const struct lvn_index_object *object,
                                     int64_t settle_at_ms, struct lvn_error *err);

/* retention.c */
void lvn_retention_turn(struct lvn_pipeline *pipeline);
/* Removes a study with its objects, results and rows for an operator. LVN_ERROR_CONFLICT while it is worked on, or, but
 * with `force`, while results of it are unsent. */
LVN_MUST_CHECK bool lvn_retention_remove(struct lvn_pipeline *pipeline, const char *study, bool force,
                                         struct lvn_index_study *ret_study, struct lvn_error *err);
/* Warns before reception stops for want of space. */
void lvn_retention_watch_disk(struct lvn_pipeline *pipeline);

/* control_server.c, control_commands.c */
void lvn_control_accept(struct lvn_pipeline *pipeline);
void lvn_control_receive(struct lvn_pipeline *pipeline, struct lvn_channel **channel);
json_t *lvn_control_answer(struct lvn_pipeline *pipeline,
                           const json_t *request); /* new reference, or NULL: no memory */

/* metrics.c */
LVN_MUST_CHECK bool lvn_metrics_publish(struct lvn_pipeline *pipeline, struct lvn_error *err);
LVN_MUST_CHECK char *lvn_metrics_text(struct lvn_pipeline *pipeline, struct lvn_error *err);

#endif
