-- A history of edgebench reports, version 1. docs/history.md says what stands where.

-- What many reports share, each once, as JSON: fingerprints, facts of a board, notes, layouts.
CREATE TABLE text (no INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- A report; `remarks` has what its session found (JSON). `runs` holds one number a run in single precision, as `layout` tells
-- (docs/history.md).
CREATE TABLE report (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE COLLATE NOCASE,
  created TEXT NOT NULL,
  label TEXT NOT NULL,
  digest TEXT NOT NULL,
  status TEXT NOT NULL,
  platform TEXT NOT NULL,
  suite TEXT NOT NULL,
  version TEXT NOT NULL,
  revision TEXT,
  hard INTEGER NOT NULL REFERENCES text,
  soft INTEGER NOT NULL REFERENCES text,
  facts INTEGER NOT NULL REFERENCES text,
  remarks TEXT NOT NULL,
  layout INTEGER NOT NULL REFERENCES text,
  runs BLOB NOT NULL
);

-- A benchmark by its name and parameters (JSON).
CREATE TABLE cell (
  no INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  params TEXT NOT NULL,
  UNIQUE (name, kind, params)
);

-- A metric of a benchmark; a joule of another scope or probe is another series. No scope, no probe: ''.
CREATE TABLE series (
  no INTEGER PRIMARY KEY,
  cell INTEGER NOT NULL REFERENCES cell,
  metric TEXT NOT NULL,
  unit TEXT NOT NULL,
  better TEXT NOT NULL,
  scope TEXT NOT NULL,
  probe TEXT NOT NULL,
  UNIQUE (cell, metric, unit, better, scope, probe)
);

-- How a benchmark ended in a report; `note` has reasons and warnings (JSON), NULL where there are none.
CREATE TABLE outcome (
  report INTEGER NOT NULL REFERENCES report,
  cell INTEGER NOT NULL REFERENCES cell,
  status TEXT NOT NULL,
  note INTEGER REFERENCES text,
  PRIMARY KEY (report, cell)
) WITHOUT ROWID;

-- The figure of a series in a report, in its unit.
CREATE TABLE figure (
  report INTEGER NOT NULL REFERENCES report,
  series INTEGER NOT NULL REFERENCES series,
  value REAL NOT NULL,
  PRIMARY KEY (report, series)
) WITHOUT ROWID;

-- What other tools read: a row a report, benchmark and metric.
CREATE VIEW figures AS
SELECT
  report.id AS report, report.created, report.platform, report.suite, report.version, report.revision, report.label,
  cell.name AS benchmark, cell.kind,
  json_extract(cell.params, '$.model') AS model,
  json_extract(cell.params, '$.variant') AS variant,
  json_extract(cell.params, '$.backend') AS backend,
  json_extract(cell.params, '$.precision') AS precision,
  json_extract(cell.params, '$.batch') AS batch,
  json_extract(cell.params, '$.threads') AS threads,
  series.metric, figure.value, series.unit, series.better,
  nullif(series.scope, '') AS scope, nullif(series.probe, '') AS probe
FROM figure
JOIN report ON report.no = figure.report
JOIN series ON series.no = figure.series
JOIN cell ON cell.no = series.cell;

-- And how each benchmark ended.
CREATE VIEW outcomes AS
SELECT
  report.id AS report, report.created, report.platform, report.suite,
  cell.name AS benchmark, cell.kind, outcome.status, text.text AS note
FROM outcome
JOIN report ON report.no = outcome.report
JOIN cell ON cell.no = outcome.cell
LEFT JOIN text ON text.no = outcome.note;
