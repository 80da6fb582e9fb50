-- slice: requests

-- When a request was marked as too old: for those who follow the changes. Its state follows from its age.
ALTER TABLE system_user_request ADD COLUMN timed_out_at BIGINT;

CREATE INDEX system_user_request_waiting ON system_user_request (created_at)
    WHERE status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL;
CREATE INDEX system_user_request_party ON system_user_request (party, created_at) WHERE archived_at IS NULL;

-- slice: change_requests

-- The id is the vendor's correlation id. Rights and packages are written and read whole.
CREATE TABLE change_request (
    id                TEXT COLLATE "C" PRIMARY KEY,
    system_user       TEXT COLLATE "C" NOT NULL REFERENCES system_user (id),
    system            TEXT COLLATE "C" NOT NULL REFERENCES system (id),
    party             TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    external_ref      TEXT COLLATE "C" NOT NULL,
    required_rights   TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(required_rights::jsonb) = 'array'),
    unwanted_rights   TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(unwanted_rights::jsonb) = 'array'),
    required_packages TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(required_packages::jsonb) = 'array'),
    unwanted_packages TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(unwanted_packages::jsonb) = 'array'),
    redirect_url      TEXT COLLATE "C",
    status            TEXT COLLATE "C" NOT NULL CHECK (status IN ('New', 'Accepted', 'Rejected')),
    created_at        BIGINT NOT NULL,
    decided_at        BIGINT,
    decided_by        BIGINT,
    timed_out_at      BIGINT,
    archived_at       BIGINT,
    CHECK ((status = 'New') = (decided_at IS NULL) AND (status = 'New') = (decided_by IS NULL))
);

CREATE INDEX change_request_system ON change_request (system, created_at, id);
CREATE INDEX change_request_system_user ON change_request (system_user);
CREATE INDEX change_request_waiting ON change_request (created_at)
    WHERE status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL;

-- With a system user what was asked of it ends.
CREATE FUNCTION archive_change_requests_of_system_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE change_request SET archived_at = NEW.withdrawn_at WHERE system_user = NEW.id AND archived_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_user_withdrawn_with_change_requests AFTER UPDATE OF withdrawn_at ON system_user
FOR EACH ROW WHEN (OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL)
EXECUTE FUNCTION archive_change_requests_of_system_user();
