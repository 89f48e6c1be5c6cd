-- The index as release 0.1.0 makes it (schema 4): tests bring it up to date.
CREATE TABLE transition (entity TEXT, from_state TEXT, to_state TEXT, PRIMARY KEY (entity, from_state, to_state))
  STRICT, WITHOUT ROWID;
INSERT INTO transition VALUES ('study','collecting','ready'),('study','collecting','rejected'),
  ('study','ready','collecting'),('study','ready','processing'),('study','ready','rejected'),
  ('study','processing','ready'),('study','processing','collecting'),('study','processing','done'),
  ('study','processing','failed'),('study','processing','rejected'),
  ('study','done','collecting'),('study','done','rejected'),
  ('study','failed','collecting'),('study','failed','rejected'),('study','failed','ready'),
  ('study','rejected','collecting'), ('job','queued','running'),('job','queued','cancelled'),
  ('job','running','done'),('job','running','queued'),('job','running','failed'),('job','running','cancelled'),
  ('job','done','queued'),('job','failed','queued'),('job','cancelled','queued'),
  ('outbound','queued','sending'),('outbound','queued','cancelled'),
  ('outbound','sending','sent'),('outbound','sending','queued'),('outbound','sending','failed'),
  ('outbound','failed','queued'),('outbound','cancelled','queued'),('outbound','sent','queued');
CREATE TABLE study (study_uid TEXT PRIMARY KEY, name TEXT NOT NULL, patient_key TEXT NOT NULL, issuer_key TEXT NOT
  NULL, state TEXT NOT NULL DEFAULT 'collecting', revision INTEGER NOT NULL DEFAULT 0, change_count INTEGER NOT NULL
  DEFAULT 0, looked_change INTEGER NOT NULL DEFAULT -1, settle_at INTEGER NOT NULL, first_received_at INTEGER NOT
  NULL, last_received_at INTEGER NOT NULL, sentence TEXT NOT NULL DEFAULT '', source_aet TEXT NOT NULL, source_address
  TEXT NOT NULL, source_is_ct INTEGER NOT NULL DEFAULT 0, is_locked INTEGER NOT NULL DEFAULT 0, latest_job_id INTEGER
  NOT NULL DEFAULT 0, decided_at INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX study_by_state ON study(state, settle_at);
CREATE INDEX study_by_name ON study(name);
CREATE TABLE series (series_uid TEXT NOT NULL, study_uid TEXT NOT NULL REFERENCES study ON DELETE CASCADE, modality
  TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('ct','roi','other')), PRIMARY KEY (study_uid, series_uid)) STRICT,
  WITHOUT ROWID;
CREATE TABLE instance (sop_instance_uid TEXT NOT NULL, sha256 BLOB NOT NULL CHECK (length(sha256) = 32), study_uid
  TEXT NOT NULL REFERENCES study, series_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL, transfer_syntax_uid TEXT NOT
  NULL, role TEXT NOT NULL CHECK (role IN ('ct','roi','other')), patient_key TEXT NOT NULL, byte_count INTEGER NOT
  NULL, calling_aet TEXT NOT NULL, address TEXT NOT NULL, association_id TEXT NOT NULL, received_at INTEGER NOT NULL,
  is_current INTEGER NOT NULL DEFAULT 1, is_own INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (sop_instance_uid, sha256)) STRICT;
CREATE INDEX instance_by_sequence ON instance(sequence);
CREATE UNIQUE INDEX instance_current ON instance(study_uid, sop_instance_uid) WHERE is_current;
CREATE INDEX instance_by_study ON instance(study_uid, is_current);
CREATE INDEX instance_by_digest ON instance(sha256);
CREATE TABLE job (job_id INTEGER PRIMARY KEY, study_uid TEXT NOT NULL REFERENCES study, input_digest BLOB NOT NULL
  CHECK (length(input_digest) = 32), model_digest BLOB NOT NULL CHECK (length(model_digest) = 32), model_name TEXT NOT
  NULL, model_version TEXT NOT NULL, repetition INTEGER NOT NULL DEFAULT 0, job_key TEXT NOT NULL, wall_ms INTEGER NOT
  NULL, state TEXT NOT NULL DEFAULT 'queued', outcome TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL DEFAULT 0,
  interruption INTEGER NOT NULL DEFAULT 0, change_count INTEGER NOT NULL, not_before INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL DEFAULT 0, finished_at INTEGER NOT NULL DEFAULT 0, superseded_by INTEGER NOT NULL
  DEFAULT 0, error_code TEXT NOT NULL DEFAULT '', error_text TEXT NOT NULL DEFAULT '', postponed INTEGER NOT NULL
  DEFAULT 0, UNIQUE (study_uid, input_digest, model_digest, repetition)) STRICT;
CREATE INDEX job_by_state ON job(state, not_before);
CREATE TABLE result (sop_instance_uid TEXT PRIMARY KEY, job_id INTEGER NOT NULL REFERENCES job, sop_class_uid TEXT NOT
  NULL, transfer_syntax_uid TEXT NOT NULL, path TEXT NOT NULL, sha256 BLOB NOT NULL CHECK (length(sha256) = 32))
  STRICT;
CREATE INDEX result_by_job ON result(job_id);
CREATE TABLE outbound (outbound_id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL REFERENCES job, sop_instance_uid TEXT
  NOT NULL REFERENCES result, destination TEXT NOT NULL, sha256 BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'queued',
  attempt INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, sent_at
  INTEGER NOT NULL DEFAULT 0, last_status INTEGER NOT NULL DEFAULT -1, last_error TEXT NOT NULL DEFAULT '', UNIQUE
  (sop_instance_uid, destination)) STRICT;
CREATE INDEX outbound_by_state ON outbound(state, destination, not_before);
CREATE INDEX outbound_by_job ON outbound(job_id);
CREATE TABLE event (event_id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, entity TEXT NOT NULL, entity_id
  TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL) STRICT;
CREATE TRIGGER study_transition BEFORE UPDATE OF state ON study WHEN OLD.state <> NEW.state AND NOT EXISTS (SELECT 1
  FROM transition WHERE (entity, from_state, to_state) = ('study', OLD.state, NEW.state)) BEGIN SELECT RAISE(ABORT,
  'illegal study transition'); END;
CREATE TRIGGER job_transition BEFORE UPDATE OF state ON job WHEN NOT EXISTS (SELECT 1 FROM transition WHERE (entity,
  from_state, to_state) = ('job', OLD.state, NEW.state)) BEGIN SELECT RAISE(ABORT, 'illegal job transition'); END;
CREATE TRIGGER outbound_transition BEFORE UPDATE OF state ON outbound WHEN NOT EXISTS (SELECT 1 FROM transition WHERE
  (entity, from_state, to_state) = ('outbound', OLD.state, NEW.state)) BEGIN SELECT RAISE(ABORT, 'illegal outbound
  transition'); END;
CREATE TRIGGER study_event AFTER UPDATE OF state ON study WHEN OLD.state <> NEW.state BEGIN INSERT INTO event(at,
  entity, entity_id, from_state, to_state) VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER),
  'study', NEW.name, OLD.state, NEW.state); END;
CREATE TRIGGER study_birth AFTER INSERT ON study BEGIN INSERT INTO event(at, entity, entity_id, from_state, to_state)
  VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'study', NEW.name, '', NEW.state); END;
CREATE TRIGGER job_event AFTER UPDATE OF state ON job BEGIN INSERT INTO event(at, entity, entity_id, from_state,
  to_state) VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'job', NEW.job_id, OLD.state,
  NEW.state); END;
CREATE TRIGGER job_birth AFTER INSERT ON job BEGIN INSERT INTO event(at, entity, entity_id, from_state, to_state)
  VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'job', NEW.job_id, '', NEW.state); END;
CREATE TRIGGER outbound_event AFTER UPDATE OF state ON outbound BEGIN INSERT INTO event(at, entity, entity_id,
  from_state, to_state) VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'outbound',
  NEW.outbound_id, OLD.state, NEW.state); END;
PRAGMA user_version = 4;
