-- slice: requests

-- When a request was marked as too old: for those who follow the changes. Its state follows from its age.
ALTER TABLE system_user_request ADD COLUMN timed_out_at INTEGER;

CREATE INDEX system_user_request_waiting ON system_user_request (created_at)
    WHERE status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL;
CREATE INDEX system_user_request_party ON system_user_request (party, created_at) WHERE archived_at IS NULL;

-- slice: change_requests

-- The id is the vendor's correlation id. Rights and packages are written and read whole.
CREATE TABLE change_request (
    id                TEXT PRIMARY KEY,
    system_user       TEXT NOT NULL REFERENCES system_user (id),
    system            TEXT NOT NULL REFERENCES system (id),
    party             TEXT NOT NULL REFERENCES party (organization),
    external_ref      TEXT NOT NULL,
    required_rights   TEXT NOT NULL CHECK (json_type(required_rights) = 'array'),
    unwanted_rights   TEXT NOT NULL CHECK (json_type(unwanted_rights) = 'array'),
    required_packages TEXT NOT NULL CHECK (json_type(required_packages) = 'array'),
    unwanted_packages TEXT NOT NULL CHECK (json_type(unwanted_packages) = 'array'),
    redirect_url      TEXT,
    status            TEXT NOT NULL CHECK (status IN ('New', 'Accepted', 'Rejected')),
    created_at        INTEGER NOT NULL,
    decided_at        INTEGER,
    decided_by        INTEGER,
    timed_out_at      INTEGER,
    archived_at       INTEGER,
    CHECK ((status = 'New') = (decided_at IS NULL) AND (status = 'New') = (decided_by IS NULL))
) STRICT;

CREATE INDEX change_request_system ON change_request (system, created_at, id);
CREATE INDEX change_request_system_user ON change_request (system_user);
CREATE INDEX change_request_waiting ON change_request (created_at)
    WHERE status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL;

-- With a system user what was asked of it ends.
CREATE TRIGGER system_user_withdrawn_with_change_requests AFTER UPDATE OF withdrawn_at ON system_user
WHEN OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
BEGIN
    UPDATE change_request SET archived_at = NEW.withdrawn_at WHERE system_user = NEW.id AND archived_at IS NULL;
END;
