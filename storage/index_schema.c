#include "storage/index.h"
#include "storage/sql.h"

/* Times are milliseconds since 1970 UTC. Every state column has a trigger that refuses what the transition table does
 * not list and one that writes the event log, so that a wrong program cannot make a wrong state.
 * study.change_count grows with every object that changes the inputs; looked_change is its value when the assembler
 * last decided: a study is looked at when they differ. revision grows when a decided study is opened again.
 * instance.sequence is the order of reception. job.postponed counts the attempts that the node itself prevented.
 * job.lease_end is of the owner's monotonic clock, and counts while the job is running. An outbox row is of an object
 * (sop_instance_uid, of a result) or of an event (payload, the path of a file). */

#define OUTBOX_TABLE                                                                                                   \
  "CREATE TABLE outbox (outbox_id INTEGER PRIMARY KEY, kind TEXT NOT NULL DEFAULT 'object' CHECK"                      \
  " (kind IN ('object','event')), job_id INTEGER REFERENCES job, sop_instance_uid TEXT REFERENCES result,"             \
  " payload TEXT, sha256 BLOB, destination TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued',"                       \
  " attempt INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,"           \
  " sent_at INTEGER NOT NULL DEFAULT 0, verdict TEXT NOT NULL DEFAULT '', status INTEGER NOT NULL DEFAULT -1,"         \
  " status_message TEXT NOT NULL DEFAULT '', UNIQUE (sop_instance_uid, destination), UNIQUE (payload, destination),"   \
  " CHECK ((kind='object') = (sop_instance_uid IS NOT NULL) AND (kind='event') = (payload IS NOT NULL))) STRICT;"      \
  "CREATE INDEX outbox_by_state ON outbox(state, destination, not_before);"                                            \
  "CREATE INDEX outbox_by_job ON outbox(job_id);"

/* The entity keeps the name that logs and `livervlm outbound` use. */
#define OUTBOX_TRIGGERS                                                                                                \
  "CREATE TRIGGER outbox_transition BEFORE UPDATE OF state ON outbox WHEN NOT EXISTS"                                  \
  " (SELECT 1 FROM transition WHERE (entity, from_state, to_state) = ('outbound', OLD.state, NEW.state))"              \
  " BEGIN SELECT RAISE(ABORT, 'illegal outbound transition'); END;"                                                    \
  "CREATE TRIGGER outbox_event AFTER UPDATE OF state ON outbox BEGIN"                                                  \
  " INSERT INTO event(at, entity, entity_id, from_state, to_state) VALUES"                                             \
  " (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'outbound', NEW.outbox_id, OLD.state,"                \
  " NEW.state); END;"
/* Of rows that their destination is asked to promise (storage/commitment.h): since when, how often it was, when again,
 * and under which transaction now. A study that waits is asked for at a source (storage/fetch.h). */
#define COMMITMENT_TABLES                                                                                              \
  "ALTER TABLE outbox ADD COLUMN wants_commitment INTEGER NOT NULL DEFAULT 0;"                                         \
  "ALTER TABLE outbox ADD COLUMN wanted_at INTEGER NOT NULL DEFAULT 0;"                                                \
  "ALTER TABLE outbox ADD COLUMN commitment_attempt INTEGER NOT NULL DEFAULT 0;"                                       \
  "ALTER TABLE outbox ADD COLUMN commitment_at INTEGER NOT NULL DEFAULT 0;"                                            \
  "ALTER TABLE outbox ADD COLUMN transaction_uid TEXT;"                                                                \
  "CREATE INDEX outbox_uncommitted ON outbox(destination, commitment_at) WHERE state='sent' AND kind='object' AND"     \
  " wants_commitment;"                                                                                                 \
  "CREATE INDEX outbox_by_transaction ON outbox(transaction_uid) WHERE transaction_uid IS NOT NULL;"                   \
  "CREATE TABLE commitment (transaction_uid TEXT PRIMARY KEY, destination TEXT NOT NULL,"                              \
  " asked_at INTEGER NOT NULL, deadline INTEGER NOT NULL) STRICT, WITHOUT ROWID;"                                      \
  "INSERT INTO transition VALUES ('outbound','sent','failed');"                                                        \
  "CREATE TABLE fetch (study_uid TEXT PRIMARY KEY, source TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT -1,"        \
  " attempt INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, is_ordered INTEGER NOT NULL DEFAULT 0," \
  " note TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;"

#define COMMITMENT "INSERT INTO transition VALUES ('outbound','sent','committed'),('outbound','committed','queued');"

/* So that a tick, a page of a list and the metrics cost the same however many studies there are. */
#define GROWTH_INDICES                                                                                                 \
  "CREATE INDEX study_changed ON study(last_received_at) WHERE change_count<>looked_change;"                           \
  "CREATE INDEX study_by_time ON study(last_received_at, study_uid);"                                                  \
  "CREATE INDEX outbox_by_sent ON outbox(sent_at);"

const char *const lvn_index_schema_sql =
    "CREATE TABLE transition (entity TEXT, from_state TEXT, to_state TEXT,"
    " PRIMARY KEY (entity, from_state, to_state)) STRICT, WITHOUT ROWID;"
    "INSERT INTO transition VALUES"
    " ('study','collecting','ready'),('study','collecting','rejected'),"
    " ('study','ready','collecting'),('study','ready','processing'),('study','ready','rejected'),"
    " ('study','processing','ready'),('study','processing','collecting'),('study','processing','done'),"
    " ('study','processing','failed'),('study','processing','rejected'),"
    " ('study','done','collecting'),('study','done','rejected'),"
    " ('study','failed','collecting'),('study','failed','rejected'),('study','failed','ready'),"
    " ('study','rejected','collecting'),"
    " ('job','queued','running'),('job','queued','cancelled'),"
    " ('job','running','done'),('job','running','queued'),('job','running','failed'),('job','running','cancelled'),"
    " ('job','done','queued'),('job','failed','queued'),('job','cancelled','queued'),"
    " ('outbound','queued','sending'),('outbound','queued','cancelled'),"
    " ('outbound','sending','sent'),('outbound','sending','queued'),('outbound','sending','failed'),"
    " ('outbound','failed','queued'),('outbound','cancelled','queued'),('outbound','sent','queued');" COMMITMENT

    "CREATE TABLE study (study_uid TEXT PRIMARY KEY, name TEXT NOT NULL, patient_key TEXT NOT NULL,"
    " issuer_key TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'collecting', revision INTEGER NOT NULL DEFAULT 0,"
    " change_count INTEGER NOT NULL DEFAULT 0, looked_change INTEGER NOT NULL DEFAULT -1,"
    " settle_at INTEGER NOT NULL, first_received_at INTEGER NOT NULL, last_received_at INTEGER NOT NULL,"
    " status_message TEXT NOT NULL DEFAULT '', source_aet TEXT NOT NULL, source_address TEXT NOT NULL,"
    " source_is_ct INTEGER NOT NULL DEFAULT 0, is_locked INTEGER NOT NULL DEFAULT 0,"
    " latest_job_id INTEGER NOT NULL DEFAULT 0, decided_at INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX study_by_state ON study(state, settle_at);"
    "CREATE INDEX study_by_name ON study(name);"

    "CREATE TABLE series (series_uid TEXT NOT NULL, study_uid TEXT NOT NULL REFERENCES study ON DELETE CASCADE,"
    " modality TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('ct','roi','other')),"
    " PRIMARY KEY (study_uid, series_uid)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE instance (sop_instance_uid TEXT NOT NULL, sha256 BLOB NOT NULL CHECK (length(sha256) = 32),"
    " study_uid TEXT NOT NULL REFERENCES study, series_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL,"
    " transfer_syntax_uid TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('ct','roi','other')),"
    " patient_key TEXT NOT NULL, byte_count INTEGER NOT NULL, calling_aet TEXT NOT NULL, address TEXT NOT NULL,"
    " association_id TEXT NOT NULL, received_at INTEGER NOT NULL, is_current INTEGER NOT NULL DEFAULT 1,"
    " is_own INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (sop_instance_uid, sha256)) STRICT;"
    "CREATE INDEX instance_by_sequence ON instance(sequence);"
    "CREATE UNIQUE INDEX instance_current ON instance(study_uid, sop_instance_uid) WHERE is_current;"
    "CREATE INDEX instance_by_study ON instance(study_uid, is_current);"
    "CREATE INDEX instance_by_digest ON instance(sha256);"

    "CREATE TABLE job (job_id INTEGER PRIMARY KEY, study_uid TEXT NOT NULL REFERENCES study,"
    " input_digest BLOB NOT NULL CHECK (length(input_digest) = 32),"
    " model_digest BLOB NOT NULL CHECK (length(model_digest) = 32), model_name TEXT NOT NULL,"
    " model_version TEXT NOT NULL, repetition INTEGER NOT NULL DEFAULT 0, job_key TEXT NOT NULL, wall_ms INTEGER NOT "
    "NULL,"
    " state TEXT NOT NULL DEFAULT 'queued', outcome TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL DEFAULT 0,"
    " interruption INTEGER NOT NULL DEFAULT 0, change_count INTEGER NOT NULL, not_before INTEGER NOT NULL DEFAULT 0,"
    " started_at INTEGER NOT NULL DEFAULT 0, finished_at INTEGER NOT NULL DEFAULT 0, superseded_by INTEGER NOT NULL "
    "DEFAULT 0,"
    " error_code TEXT NOT NULL DEFAULT '', error_text TEXT NOT NULL DEFAULT '', postponed INTEGER NOT NULL DEFAULT 0,"
    " lease_owner TEXT NOT NULL DEFAULT '', lease_end INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (study_uid, input_digest, model_digest, repetition)) STRICT;"
    "CREATE INDEX job_by_state ON job(state, not_before);"

    "CREATE TABLE result (sop_instance_uid TEXT PRIMARY KEY, job_id INTEGER NOT NULL REFERENCES job,"
    " sop_class_uid TEXT NOT NULL, transfer_syntax_uid TEXT NOT NULL, path TEXT NOT NULL,"
    " sha256 BLOB NOT NULL CHECK (length(sha256) = 32)) STRICT;"
    "CREATE INDEX result_by_job ON result(job_id);"

    OUTBOX_TABLE

    "CREATE TABLE event (event_id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, entity TEXT NOT NULL,"
    " entity_id TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL) STRICT;"

    "CREATE TRIGGER study_transition BEFORE UPDATE OF state ON study WHEN OLD.state <> NEW.state AND NOT EXISTS"
    " (SELECT 1 FROM transition WHERE (entity, from_state, to_state) = ('study', OLD.state, NEW.state))"
    " BEGIN SELECT RAISE(ABORT, 'illegal study transition'); END;"
    "CREATE TRIGGER job_transition BEFORE UPDATE OF state ON job WHEN NOT EXISTS"
    " (SELECT 1 FROM transition WHERE (entity, from_state, to_state) = ('job', OLD.state, NEW.state))"
    " BEGIN SELECT RAISE(ABORT, 'illegal job transition'); END;"

    "CREATE TRIGGER study_event AFTER UPDATE OF state ON study WHEN OLD.state <> NEW.state BEGIN"
    " INSERT INTO event(at, entity, entity_id, from_state, to_state) VALUES"
    " (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'study', NEW.name, OLD.state, NEW.state); END;"
    "CREATE TRIGGER study_birth AFTER INSERT ON study BEGIN"
    " INSERT INTO event(at, entity, entity_id, from_state, to_state) VALUES"
    " (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'study', NEW.name, '', NEW.state); END;"
    "CREATE TRIGGER job_event AFTER UPDATE OF state ON job BEGIN"
    " INSERT INTO event(at, entity, entity_id, from_state, to_state) VALUES"
    " (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'job', NEW.job_id, OLD.state, NEW.state); END;"
    "CREATE TRIGGER job_birth AFTER INSERT ON job BEGIN"
    " INSERT INTO event(at, entity, entity_id, from_state, to_state) VALUES"
    " (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'job', NEW.job_id, '', NEW.state); "
    "END;" OUTBOX_TRIGGERS COMMITMENT_TABLES GROWTH_INDICES;

/* From the schema before to `to_version`, without the objects being read: oldest first. */
const struct lvn_index_upgrade lvn_index_upgrades[] = {
    {4, "ALTER TABLE instance ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX instance_by_sequence ON instance(sequence);"
        "ALTER TABLE job ADD COLUMN postponed INTEGER NOT NULL DEFAULT 0;"},
    {5, "ALTER TABLE study RENAME COLUMN sentence TO status_message;"
        "ALTER TABLE job ADD COLUMN lease_owner TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE job ADD COLUMN lease_end INTEGER NOT NULL DEFAULT 0;" OUTBOX_TABLE
        "INSERT INTO outbox(outbox_id, job_id, sop_instance_uid, destination, sha256, state, attempt, not_before,"
        " created_at, sent_at, verdict, status, status_message) SELECT outbound_id, job_id, sop_instance_uid,"
        " destination, sha256, state, attempt, not_before, created_at, sent_at, CASE WHEN state='sent' THEN 'stored'"
        " WHEN state='failed' THEN 'failed' WHEN last_error<>'' THEN 'retry' ELSE '' END, last_status, last_error"
        " FROM outbound;"
        "DROP TABLE outbound;" COMMITMENT OUTBOX_TRIGGERS},
    {6, COMMITMENT_TABLES},
    {7, GROWTH_INDICES},
};
const size_t lvn_index_upgrade_count = sizeof lvn_index_upgrades / sizeof lvn_index_upgrades[0];
