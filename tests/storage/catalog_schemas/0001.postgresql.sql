-- Schema 0001, as storage/catalog.py of commit e14eb65 made it on PostgreSQL.
CREATE TABLE audit (
  seq BIGSERIAL NOT NULL,
  hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE cameras (
  id VARCHAR(64) NOT NULL,
  lon FLOAT(53) NOT NULL,
  lat FLOAT(53) NOT NULL,
  owner VARCHAR(64) NOT NULL,
  sharing VARCHAR(8) NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX cameras_place ON cameras (lat, lon);
CREATE INDEX ix_cameras_owner ON cameras (owner);
CREATE TABLE clips (
  id VARCHAR(20) NOT NULL,
  camera VARCHAR(64) NOT NULL,
  start_ns BIGINT NOT NULL,
  end_ns BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX clips_time ON clips (camera, start_ns, end_ns);
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
CREATE TABLE requests (
  id VARCHAR(64) NOT NULL,
  agency VARCHAR(128) NOT NULL,
  case_number VARCHAR(64) NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX requests_case ON requests (agency, case_number);
CREATE TABLE turn (
  id SERIAL NOT NULL,
  n BIGINT,
  PRIMARY KEY (id)
);
