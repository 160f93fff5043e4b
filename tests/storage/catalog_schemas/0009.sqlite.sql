-- Schema 0009, as storage/catalog/ of commit 7385c1b made it on SQLite.
CREATE TABLE audit (
  seq BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE cameras (
  id VARCHAR(64) NOT NULL,
  lon FLOAT NOT NULL,
  lat FLOAT NOT NULL,
  owner VARCHAR(64) NOT NULL,
  sharing VARCHAR(8) NOT NULL,
  zone TEXT DEFAULT '' NOT NULL,
  clock_offset_s FLOAT DEFAULT '0' NOT NULL,
  clock_known TEXT DEFAULT '' NOT NULL,
  aliases TEXT,
  PRIMARY KEY (id)
);
CREATE INDEX cameras_place ON cameras (lat, lon);
CREATE INDEX ix_cameras_owner ON cameras (owner);
CREATE TABLE catalog_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT catalog_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE clips (
  camera VARCHAR(64) NOT NULL,
  start_ns BIGINT NOT NULL,
  id VARCHAR(20) NOT NULL,
  end_ns BIGINT NOT NULL,
  sha256 VARCHAR(64) NOT NULL,
  size BIGINT NOT NULL,
  "key" TEXT NOT NULL,
  codec TEXT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  time_base TEXT NOT NULL,
  first_pts BIGINT NOT NULL,
  end_pts BIGINT NOT NULL,
  frames BIGINT NOT NULL,
  audio TEXT,
  activity TEXT NOT NULL,
  version TEXT NOT NULL,
  source TEXT NOT NULL,
  condition TEXT,
  clock TEXT,
  track INTEGER DEFAULT '0' NOT NULL,
  PRIMARY KEY (camera, start_ns, id)
)
 WITHOUT ROWID;
CREATE INDEX clips_id ON clips (id);
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
CREATE TABLE kept_events (
  camera VARCHAR(64) NOT NULL,
  start_ns BIGINT NOT NULL,
  id VARCHAR(20) NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (camera, start_ns, id)
)
 WITHOUT ROWID;
CREATE TABLE owners (
  id VARCHAR(64) NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE requests (
  id VARCHAR(64) NOT NULL,
  agency TEXT NOT NULL,
  case_number TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX requests_case ON requests (agency, case_number);
CREATE TABLE turn (
  id INTEGER NOT NULL,
  n BIGINT,
  longest_ns BIGINT DEFAULT '0' NOT NULL,
  PRIMARY KEY (id)
);
