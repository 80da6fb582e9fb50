-- slice: parties

-- Form of organisation (AS, ENK, ESEK, …); null when the register did not say.
ALTER TABLE party ADD COLUMN form TEXT COLLATE "C";
-- When the organisation left the register; null while it is there.
ALTER TABLE party ADD COLUMN struck_off_at BIGINT;

-- People, by the user id that tokens carry. No national identity number is kept.
CREATE TABLE person (
    uuid     TEXT COLLATE "C" PRIMARY KEY,
    party_id BIGINT NOT NULL UNIQUE CHECK (party_id > 0),
    user_id  BIGINT NOT NULL UNIQUE CHECK (user_id > 0),
    name     TEXT COLLATE "C" NOT NULL
);

-- What one organisation is to another: `provider` is, for example, accountant (`regnskapsforer`) of `client`.
CREATE TABLE relation (
    id       TEXT COLLATE "C" PRIMARY KEY,
    client   TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    role     TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    UNIQUE (client, role, provider),
    CHECK (client <> provider)
);

CREATE INDEX relation_provider ON relation (provider, client);
