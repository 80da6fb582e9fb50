-- slice: client_delegations

-- Many clients at once: what is to be done to each of them, done piece by piece.
CREATE TABLE client_job (
    id          TEXT COLLATE "C" PRIMARY KEY,
    system_user TEXT COLLATE "C" NOT NULL REFERENCES system_user (id),
    action      TEXT COLLATE "C" NOT NULL CHECK (action IN ('add', 'remove', 'move')),
    -- The agent system user that clients are moved from.
    moved_from  TEXT COLLATE "C" REFERENCES system_user (id),
    created_at  BIGINT NOT NULL,
    created_by  BIGINT NOT NULL,
    finished_at BIGINT,
    CHECK ((action = 'move') = (moved_from IS NOT NULL))
);

CREATE INDEX client_job_unfinished ON client_job (created_at, id) WHERE finished_at IS NULL;

-- The client is a party uuid, of somebody who need not be in the register.
CREATE TABLE client_job_item (
    job      TEXT COLLATE "C" NOT NULL REFERENCES client_job (id),
    position BIGINT NOT NULL,
    client   TEXT COLLATE "C" NOT NULL,
    state    TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    code     TEXT COLLATE "C",
    PRIMARY KEY (job, position),
    CHECK ((state = 'failed') = (code IS NOT NULL))
);

CREATE INDEX client_job_item_state ON client_job_item (job, state, position);
