-- State at every moment of the log. One temporal table for each tag of the state model
-- (store/state_model.h): a row is in force from event from_seq until the next row of its key begins,
-- and without a next row now. A row that is `gone` says that from there on nothing is in force; its
-- other columns are empty.
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
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, from_seq)
) WITHOUT ROWID;

-- Known by the number of the event that made it.
CREATE TABLE backup (
  seq INTEGER NOT NULL,
  definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (seq, from_seq)
) WITHOUT ROWID;

-- What came of reading a backup last.
CREATE TABLE backup_check (
  seq INTEGER NOT NULL,
  definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (seq, from_seq)
) WITHOUT ROWID;

CREATE TABLE category (
  name TEXT NOT NULL,
  definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (name, from_seq)
) WITHOUT ROWID;

CREATE TABLE database (
  environment TEXT NOT NULL, profile TEXT NOT NULL, name TEXT NOT NULL,
  definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, profile, name, from_seq)
) WITHOUT ROWID;

CREATE TABLE environment (
  name TEXT NOT NULL,
  protected INTEGER NOT NULL, title BLOB NOT NULL, description BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (name, from_seq)
) WITHOUT ROWID;

CREATE TABLE environment_key (
  environment TEXT NOT NULL, generation INTEGER NOT NULL,
  definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, generation, from_seq)
) WITHOUT ROWID;

CREATE TABLE lock (
  environment TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, from_seq)
) WITHOUT ROWID;

CREATE TABLE profile (
  environment TEXT NOT NULL, name TEXT NOT NULL,
  base TEXT NOT NULL, title BLOB NOT NULL, description BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, name, from_seq)
) WITHOUT ROWID;

-- The last replacement of each database.
CREATE TABLE replacement (
  environment TEXT NOT NULL, profile TEXT NOT NULL, name TEXT NOT NULL,
  phase INTEGER NOT NULL, started INTEGER NOT NULL, safety INTEGER NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, profile, name, from_seq)
) WITHOUT ROWID;

CREATE TABLE specification (
  key TEXT NOT NULL,
  category TEXT NOT NULL, definition BLOB NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (key, from_seq)
) WITHOUT ROWID;

-- No value stands here: value_seq, value_index name the event and the change that hold its bytes.
-- Every read goes there, so that a damaged projection cannot show what was never written.
CREATE TABLE variable (
  environment TEXT NOT NULL, profile TEXT NOT NULL, key TEXT NOT NULL,
  value_seq INTEGER NOT NULL, value_index INTEGER NOT NULL,
  sealed INTEGER NOT NULL, expand INTEGER NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (environment, profile, key, from_seq)
) WITHOUT ROWID;
-- Finds the change that a copy points at.
CREATE INDEX variable_from ON variable (from_seq, value_index);

-- Commands that broke a rule and had no effect.
CREATE TABLE violation (
  seq INTEGER NOT NULL,
  rule INTEGER NOT NULL,
  gone INTEGER NOT NULL, from_seq INTEGER NOT NULL,
  PRIMARY KEY (seq, from_seq)
) WITHOUT ROWID;
