-- slice: gateway_decisions

-- What gateways told of their decisions: the newest of each provider, for a time.
CREATE TABLE gateway_decision (
    provider TEXT NOT NULL REFERENCES provider (id),
    number   INTEGER NOT NULL,
    gateway  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (provider, number)
) STRICT, WITHOUT ROWID;
