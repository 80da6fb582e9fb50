-- slice: revocations

-- What a provider's gateways refuse until an instant, whatever else they know of it.
CREATE TABLE revocation (
    id         TEXT COLLATE "C" PRIMARY KEY,
    provider   TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('token', 'client', 'system_user')),
    issuer     TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    ends_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX revocation_provider ON revocation (provider, created_at, id);
