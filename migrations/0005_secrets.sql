-- Values that are read in code as secrets["NAME"]. What is authenticated with each is its workspace, its name and its
-- version, so that no row can be put in the place of another.
CREATE TABLE secrets (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,      -- another for each value
    key_id TEXT NOT NULL,       -- which key it is encrypted with
    sealed BLOB NOT NULL,       -- nonce, ciphertext, tag
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace, name)
) STRICT;

CREATE INDEX secrets_of_key ON secrets (key_id);
