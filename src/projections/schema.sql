-- State at every moment of the log. One temporal table for each tag of the state model
-- (store/state_model.h): a row is in force from event from_seq up to, not including, event to_seq;
-- NULL means now. At most one row of a key is in force at a time.
-- check_hash is over the rest: a position ahead of the log means loss, so a damaged one must not.
CREATE TABLE position (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  schema_version INTEGER NOT NULL,
  log_id BLOB NOT NULL,
  seq INTEGER NOT NULL,
  leaf_hash BLOB NOT NULL,
  check_hash BLOB NOT NULL
);

-- environment '' stands for the store: the active environment.
CREATE TABLE active (
  environment TEXT NOT NULL,
  name TEXT NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX active_now ON active (environment) WHERE to_seq IS NULL;

CREATE TABLE category (
  name TEXT NOT NULL,
  definition BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (name, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX category_now ON category (name) WHERE to_seq IS NULL;

CREATE TABLE database (
  environment TEXT NOT NULL, profile TEXT NOT NULL, name TEXT NOT NULL,
  definition BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, profile, name, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX database_now ON database (environment, profile, name) WHERE to_seq IS NULL;

CREATE TABLE environment (
  name TEXT NOT NULL,
  protected INTEGER NOT NULL, title BLOB NOT NULL, description BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (name, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX environment_now ON environment (name) WHERE to_seq IS NULL;

CREATE TABLE environment_key (
  environment TEXT NOT NULL, generation INTEGER NOT NULL,
  definition BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, generation, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX environment_key_now ON environment_key (environment, generation)
  WHERE to_seq IS NULL;

CREATE TABLE lock (
  environment TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX lock_now ON lock (environment) WHERE to_seq IS NULL;

CREATE TABLE profile (
  environment TEXT NOT NULL, name TEXT NOT NULL,
  base TEXT NOT NULL, title BLOB NOT NULL, description BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, name, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX profile_now ON profile (environment, name) WHERE to_seq IS NULL;

CREATE TABLE specification (
  key TEXT NOT NULL,
  category TEXT NOT NULL, definition BLOB NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (key, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX specification_now ON specification (key) WHERE to_seq IS NULL;

-- No value stands here: value_seq, value_index name the event and the change that hold its bytes.
-- Every read goes there, so that a damaged projection cannot show what was never written.
CREATE TABLE variable (
  environment TEXT NOT NULL, profile TEXT NOT NULL, key TEXT NOT NULL,
  value_seq INTEGER NOT NULL, value_index INTEGER NOT NULL,
  sealed INTEGER NOT NULL, expand INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (environment, profile, key, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX variable_now ON variable (environment, profile, key) WHERE to_seq IS NULL;
-- Finds the change that a copy points at.
CREATE INDEX variable_from ON variable (from_seq, value_index);

-- Commands that broke a rule and had no effect.
CREATE TABLE violation (
  seq INTEGER NOT NULL,
  rule INTEGER NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER,
  PRIMARY KEY (seq, from_seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX violation_now ON violation (seq) WHERE to_seq IS NULL;
