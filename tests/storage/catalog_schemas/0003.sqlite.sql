-- Schema 0003, as storage/catalog.py of commit 14d00cf made it on SQLite.
CREATE TABLE turn (
  id INTEGER NOT NULL,
  n BIGINT,
  longest_ns BIGINT DEFAULT '0' NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE cameras (
  id VARCHAR(64) NOT NULL,
  lon FLOAT NOT NULL,
  lat FLOAT NOT NULL,
  owner VARCHAR(64) NOT NULL,
  sharing VARCHAR(8) NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ix_cameras_owner ON cameras (owner);
CREATE INDEX cameras_place ON cameras (lat, lon);
CREATE TABLE clips (
  id VARCHAR(20) NOT NULL,
  camera VARCHAR(64) NOT NULL,
  start_ns BIGINT NOT NULL,
  end_ns BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX clips_time ON clips (camera, start_ns, end_ns);
CREATE TABLE requests (
  id VARCHAR(64) NOT NULL,
  agency TEXT NOT NULL,
  case_number TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX requests_case ON requests (agency, case_number);
CREATE TABLE decisions (
  request VARCHAR(64) NOT NULL,
  owner VARCHAR(64) NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (request, owner)
);
CREATE TABLE deliveries (
  request VARCHAR(64) NOT NULL,
  cut VARCHAR(64) NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (request, cut)
);
CREATE TABLE audit (
  seq BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (seq)
);
