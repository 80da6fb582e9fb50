-- slice: parties

-- Form of organisation (AS, ENK, ESEK, …); null when the register did not say.
ALTER TABLE party ADD COLUMN form TEXT;
-- When the organisation left the register; null while it is there.
ALTER TABLE party ADD COLUMN struck_off_at INTEGER;

-- People, by the user id that tokens carry. No national identity number is kept.
CREATE TABLE person (
    uuid     TEXT PRIMARY KEY,
    party_id INTEGER NOT NULL UNIQUE CHECK (party_id > 0),
    user_id  INTEGER NOT NULL UNIQUE CHECK (user_id > 0),
    name     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What one organisation is to another: `provider` is, for example, accountant (`regnskapsforer`) of `client`.
CREATE TABLE relation (
    id       TEXT PRIMARY KEY,
    client   TEXT NOT NULL REFERENCES party (organization),
    role     TEXT NOT NULL,
    provider TEXT NOT NULL REFERENCES party (organization),
    UNIQUE (client, role, provider),
    CHECK (client <> provider)
) STRICT, WITHOUT ROWID;

CREATE INDEX relation_provider ON relation (provider, client);
