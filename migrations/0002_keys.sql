-- Who may call. A key is nowhere in it: `digest` is its SHA-256, and `id` the part of it that may be shown.
CREATE TABLE keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    role TEXT NOT NULL CHECK (role IN ('admin', 'deploy', 'run', 'read')),
    -- Names and prefixes as a JSON array; NULL is every workspace, and what belongs to none.
    workspaces TEXT CHECK (workspaces IS NULL OR json_valid(workspaces)),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    used_ms INTEGER,
    revoked_ms INTEGER
) STRICT;

-- The audit log knows keys by name: no two that are good at the same time have the same one.
CREATE UNIQUE INDEX keys_names ON keys (name) WHERE revoked_ms IS NULL;
