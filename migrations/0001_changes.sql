-- What the services that share this database tell each other: something they keep in memory is another one now.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT;
