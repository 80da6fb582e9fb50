-- slice: revocations

-- What a provider's gateways refuse until an instant, whatever else they know of it.
CREATE TABLE revocation (
    id         TEXT PRIMARY KEY,
    provider   TEXT NOT NULL REFERENCES provider (id),
    kind       TEXT NOT NULL CHECK (kind IN ('token', 'client', 'system_user')),
    issuer     TEXT NOT NULL,
    value      TEXT NOT NULL,
    ends_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revocation_provider ON revocation (provider, created_at, id);
