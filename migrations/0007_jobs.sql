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

-- How many keys each workspace has in use and how large their answers are, so that no run has to count them.
CREATE TABLE idempotency_sizes (
    workspace TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER idempotency_claimed AFTER INSERT ON idempotency BEGIN
    INSERT INTO idempotency_sizes VALUES (NEW.workspace, 1, 0)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER idempotency_answered AFTER UPDATE OF headers, body ON idempotency BEGIN
    UPDATE idempotency_sizes SET bytes = bytes
        + coalesce(length(NEW.headers), 0) + coalesce(length(NEW.body), 0)
        - coalesce(length(OLD.headers), 0) - coalesce(length(OLD.body), 0)
    WHERE workspace = NEW.workspace;
END;

CREATE TRIGGER idempotency_freed AFTER DELETE ON idempotency BEGIN
    UPDATE idempotency_sizes SET rows = rows - 1,
        bytes = bytes - coalesce(length(OLD.headers), 0) - coalesce(length(OLD.body), 0)
    WHERE workspace = OLD.workspace;
    DELETE FROM idempotency_sizes WHERE workspace = OLD.workspace AND rows <= 0;
END;

-- What is let go first where there is too much of it.
CREATE INDEX idempotency_answers ON idempotency (workspace, claimed_ms) WHERE body IS NOT NULL;

-- How large the callbacks of each workspace are that are to be sent, so that no run has to count them.
CREATE TABLE delivery_sizes (
    workspace TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER delivery_kept AFTER INSERT ON deliveries BEGIN
    INSERT INTO delivery_sizes VALUES (NEW.workspace, length(NEW.body))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER delivery_over AFTER UPDATE OF body ON deliveries WHEN NEW.body IS NULL AND OLD.body IS NOT NULL BEGIN
    UPDATE delivery_sizes SET bytes = bytes - length(OLD.body) WHERE workspace = NEW.workspace;
    DELETE FROM delivery_sizes WHERE workspace = NEW.workspace AND bytes <= 0;
END;
