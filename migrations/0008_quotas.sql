-- What an operator lets one workspace have that others may not, or the other way round. NULL: as for every workspace.
-- A workspace need not exist to have a row, and keeps it when it is deleted.
CREATE TABLE quotas (
    workspace TEXT PRIMARY KEY,
    runs_per_minute INTEGER CHECK (runs_per_minute >= 0),
    runs_burst INTEGER CHECK (runs_burst >= 0),
    runs_concurrent INTEGER CHECK (runs_concurrent >= 0),
    functions_max INTEGER CHECK (functions_max >= 0),
    code_max_bytes INTEGER CHECK (code_max_bytes >= 0),
    history_days INTEGER CHECK (history_days >= 0),
    history_rows INTEGER CHECK (history_rows >= 0),
    changed_ms INTEGER NOT NULL
) STRICT;
