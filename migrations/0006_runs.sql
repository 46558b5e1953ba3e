-- What has become of each run. What it gave and said comes last in a row: lists do not read what does not fit into a page.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, -- the order of lists: ids of two services have none
    id BLOB NOT NULL,
    workspace TEXT NOT NULL,
    function TEXT NOT NULL, -- empty for a body that was run once
    status INTEGER NOT NULL, -- 2 succeeded, 3 failed, 4 timed_out, 5 cancelled, 6 lost
    revision INTEGER,
    key TEXT NOT NULL,
    queued_ms INTEGER NOT NULL,
    finished_ms INTEGER NOT NULL,
    duration_ms REAL, -- it began so long before it finished; null if it never did
    is_truncated INTEGER NOT NULL,
    answer BLOB, -- JSON: the result if it succeeded, else the error
    logs BLOB -- JSON; null for none
) STRICT;

CREATE UNIQUE INDEX runs_by_id ON runs (id);

-- Without a filter, and by function alone, lists are merged from those of every status: each has its own order.
CREATE INDEX runs_by_status ON runs (workspace, status);

CREATE INDEX runs_by_function ON runs (workspace, function, status);

-- How many rows a workspace has, so that retention need not count them; set right at each start.
CREATE TABLE run_counts (
    workspace TEXT PRIMARY KEY,
    rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
