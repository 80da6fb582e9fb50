-- slice: snapshots

-- Versions that gateways were seen to have and that this database did not know: the next one exceeds them.
CREATE TABLE snapshot_floor (
    provider TEXT PRIMARY KEY REFERENCES provider (id),
    version  INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;
