-- Runs that were accepted and are not finished: all it takes to run them, now or after a restart.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    function TEXT NOT NULL,
    code TEXT,
    parameters BLOB NOT NULL,
    revision TEXT,
    key TEXT NOT NULL,
    callback TEXT,
    accepted_ms INTEGER NOT NULL,
    begun_ms INTEGER,
    owner TEXT NOT NULL
) STRICT;

CREATE INDEX jobs_of_owner ON jobs (owner);
CREATE INDEX jobs_of_workspace ON jobs (workspace, id);

-- Answers that are given again to who asks with the same key. Without a status: the run is under way.
CREATE TABLE idempotency (
    workspace TEXT NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    run_id TEXT NOT NULL,
    is_job INTEGER NOT NULL,
    owner TEXT NOT NULL,
    claimed_ms INTEGER NOT NULL,
    status INTEGER,
    headers TEXT,
    body BLOB,
    PRIMARY KEY (workspace, caller, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_time ON idempotency (claimed_ms);
CREATE INDEX idempotency_of_owner ON idempotency (owner) WHERE status IS NULL;

-- What finished runs are to tell, and have told. The body is there as long as it is to be sent.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    url TEXT NOT NULL,
    body BLOB,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    owner TEXT NOT NULL
) STRICT;

CREATE INDEX deliveries_of_owner ON deliveries (owner, due_ms) WHERE status = 'pending';
CREATE INDEX deliveries_by_time ON deliveries (due_ms) WHERE status <> 'pending';
