-- The table that the application reads, where it has none (has_users.sql). With room in its page a new version of a row
-- needs no new entries in the indexes.
CREATE TABLE users (
    id          varchar(255) PRIMARY KEY,
    name        varchar(255) NOT NULL,
    email       varchar(255) NOT NULL UNIQUE,
    "imageUrl"  varchar(1000),
    "createdAt" timestamptz  NOT NULL,
    "updatedAt" timestamptz  NOT NULL
) WITH (fillfactor = 70);
