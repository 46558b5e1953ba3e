-- How many keys each workspace has in use and how large their answers are, so that no run has to count them.
CREATE TABLE idempotency_sizes (
    workspace TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO idempotency_sizes
SELECT workspace, count(*), total(length(headers)) + total(length(body)) FROM idempotency GROUP BY workspace;

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
