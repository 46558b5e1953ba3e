-- How large the callbacks of each workspace are that are to be sent, so that no run has to count them.
CREATE TABLE delivery_sizes (
    workspace TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_sizes
SELECT workspace, sum(length(body)) FROM deliveries WHERE body IS NOT NULL GROUP BY workspace;

CREATE TRIGGER delivery_kept AFTER INSERT ON deliveries BEGIN
    INSERT INTO delivery_sizes VALUES (NEW.workspace, length(NEW.body))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER delivery_over AFTER UPDATE OF body ON deliveries WHEN NEW.body IS NULL AND OLD.body IS NOT NULL BEGIN
    UPDATE delivery_sizes SET bytes = bytes - length(OLD.body) WHERE workspace = NEW.workspace;
    DELETE FROM delivery_sizes WHERE workspace = NEW.workspace AND bytes <= 0;
END;
