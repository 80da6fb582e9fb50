-- slice: client_delegations

-- Many clients at once: what is to be done to each of them, done piece by piece.
CREATE TABLE client_job (
    id          TEXT PRIMARY KEY,
    system_user TEXT NOT NULL REFERENCES system_user (id),
    action      TEXT NOT NULL CHECK (action IN ('add', 'remove', 'move')),
    -- The agent system user that clients are moved from.
    moved_from  TEXT REFERENCES system_user (id),
    created_at  INTEGER NOT NULL,
    created_by  INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((action = 'move') = (moved_from IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX client_job_unfinished ON client_job (created_at, id) WHERE finished_at IS NULL;

-- The client is a party uuid, of somebody who need not be in the register.
CREATE TABLE client_job_item (
    job      TEXT NOT NULL REFERENCES client_job (id),
    position INTEGER NOT NULL,
    client   TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    code     TEXT,
    PRIMARY KEY (job, position),
    CHECK ((state = 'failed') = (code IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX client_job_item_state ON client_job_item (job, state, position);
