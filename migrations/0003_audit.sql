-- Who changed what. Rows are added, and that is all that ever happens to them.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    workspace TEXT,
    subject TEXT,
    details TEXT CHECK (details IS NULL OR json_valid(details))
) STRICT;

CREATE INDEX audit_of_workspace ON audit (workspace, id);
CREATE INDEX audit_of_key ON audit (key, id);
CREATE INDEX audit_of_action ON audit (action, id);

-- REPLACE takes the place of a line without telling the trigger on DELETE.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_erased BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
