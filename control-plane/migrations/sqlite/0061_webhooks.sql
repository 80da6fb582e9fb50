-- slice: webhooks

-- Deliveries go in order: everything up to the cursor has been taken. The secret signs, so it is stored as it is.
CREATE TABLE webhook (
    id              TEXT PRIMARY KEY,
    vendor          TEXT NOT NULL CHECK (length(vendor) = 9),
    url             TEXT NOT NULL,
    secret          TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    delivered       INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    failing_since   INTEGER,
    next_attempt_at INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT,
    disabled_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_vendor ON webhook (vendor, created_at);
