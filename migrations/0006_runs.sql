-- What has become of each run. A row is a group: runs of one workspace and function that ended alike and were written at
-- the same time, which under load are hundreds. The order of all runs is a number: those of one batch share all but its
-- ten lowest bits, the place in the batch.
CREATE TABLE run_groups (
    number INTEGER PRIMARY KEY, -- of its last run
    workspace TEXT NOT NULL,
    function TEXT NOT NULL, -- empty for bodies that were run once
    status INTEGER NOT NULL, -- 2 succeeded, 3 failed, 4 timed_out, 5 cancelled, 6 lost
    first_id BLOB NOT NULL, -- all ids of a group differ in no more than their last twelve bits
    rows INTEGER NOT NULL,
    finished_ms INTEGER NOT NULL, -- when the last of them did
    runs TEXT NOT NULL, -- JSON, in their order: see service/database/run_groups.py
    bodies BLOB NOT NULL -- what each gave and said, one after the other; last, since lists do not read it
) STRICT;

-- A group is written once, however often that is tried. New ids are greater: what is written goes to its end.
CREATE UNIQUE INDEX run_groups_by_id ON run_groups (first_id, workspace);

-- Without a filter, and by function alone, lists are merged from those of every status: each has its own order.
CREATE INDEX run_groups_by_status ON run_groups (workspace, status, number, rows);

CREATE INDEX run_groups_by_function ON run_groups (workspace, function, status, number, rows);

-- The last batch that was given a number.
CREATE TABLE run_batches (
    number INTEGER NOT NULL
) STRICT;

INSERT INTO run_batches VALUES (0);

-- How many runs a workspace has, so that retention need not count them; set right at each start.
CREATE TABLE run_counts (
    workspace TEXT PRIMARY KEY,
    rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
