-- slice: gateway_decisions

-- What gateways told of their decisions: the newest of each provider, for a time.
CREATE TABLE gateway_decision (
    provider TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    number   BIGINT NOT NULL,
    gateway  TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,
    body     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (provider, number)
);
