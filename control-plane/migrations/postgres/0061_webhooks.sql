-- slice: webhooks

-- Deliveries go in order: everything up to the cursor has been taken. The secret signs, so it is stored as it is.
CREATE TABLE webhook (
    id              TEXT COLLATE "C" PRIMARY KEY,
    vendor          TEXT COLLATE "C" NOT NULL CHECK (length(vendor) = 9),
    url             TEXT COLLATE "C" NOT NULL,
    secret          TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    delivered       BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    failing_since   BIGINT,
    next_attempt_at BIGINT NOT NULL DEFAULT 0,
    last_error      TEXT COLLATE "C",
    disabled_at     BIGINT
);

CREATE INDEX webhook_vendor ON webhook (vendor, created_at);
