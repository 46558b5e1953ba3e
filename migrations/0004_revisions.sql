-- Every definition that was deployed, as it was, and the first of the names in it. It stands last: what lists revisions does
-- not read through it. What is live stands on the volume; `live` says which of these that was.
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    etag TEXT NOT NULL,
    functions TEXT NOT NULL CHECK (json_valid(functions)),
    functions_count INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    key TEXT,
    message TEXT,
    definition TEXT NOT NULL,
    UNIQUE (workspace, number)
) STRICT;

CREATE TRIGGER revisions_are_immutable BEFORE UPDATE ON revisions
BEGIN
    SELECT RAISE(ABORT, 'a revision is never changed');
END;

CREATE TABLE live (
    workspace TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    etag TEXT NOT NULL
) STRICT;

-- Workspaces that are no more and can be brought back: only so many of them keep a revision.
CREATE TABLE deleted (
    workspace TEXT PRIMARY KEY,
    deleted_ms INTEGER NOT NULL
) STRICT;

-- `targets`: an object of weights by revision number, as JSON.
CREATE TABLE aliases (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    targets TEXT NOT NULL CHECK (json_valid(targets)),
    PRIMARY KEY (workspace, name)
) STRICT;

CREATE TABLE disabled_functions (
    workspace TEXT NOT NULL,
    function TEXT NOT NULL,
    PRIMARY KEY (workspace, function)
) STRICT;
