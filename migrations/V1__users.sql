-- The table that the application reads. One that is there already is left as it is.
CREATE TABLE IF NOT EXISTS users (
    id          varchar(255) PRIMARY KEY,
    name        varchar(255) NOT NULL,
    email       varchar(255) NOT NULL UNIQUE,
    "imageUrl"  varchar(1000),
    "createdAt" timestamptz  NOT NULL,
    "updatedAt" timestamptz  NOT NULL
);
