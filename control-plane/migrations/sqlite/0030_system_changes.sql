-- slice: systems

-- What was done to a system, as its vendor sees it: numbered from 1 in the order it happened.
CREATE TABLE system_change (
    system       TEXT NOT NULL REFERENCES system (id),
    number       INTEGER NOT NULL CHECK (number > 0),
    at           INTEGER NOT NULL,
    organization TEXT NOT NULL CHECK (length(organization) = 9),
    client_id    TEXT,
    kind         TEXT NOT NULL CHECK (kind IN ('create', 'update', 'rightsupdate', 'accesspackageupdate', 'delete')),
    -- What the vendor sent, in the form that is stored; null for a deletion.
    data         TEXT CHECK (data IS NULL OR json_valid(data)),
    PRIMARY KEY (system, number)
) STRICT, WITHOUT ROWID;

INSERT INTO system_change (system, number, at, organization, client_id, kind, data)
SELECT id, 1, created_at, vendor, NULL, 'create', NULL FROM system;

CREATE INDEX system_user_system ON system_user (system, created_at, id);
CREATE INDEX system_user_request_system ON system_user_request (system, created_at, id);

-- What hangs on a system ends with it: its system users, and so what gateways know of them, and its requests. Triggers,
-- because those are other slices' tables.
CREATE TRIGGER system_deleted AFTER UPDATE OF deleted_at ON system
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    UPDATE system_user SET withdrawn_at = NEW.deleted_at WHERE system = NEW.id AND withdrawn_at IS NULL;
    UPDATE system_user_request SET archived_at = NEW.deleted_at WHERE system = NEW.id AND archived_at IS NULL;
END;

-- A request goes as its system user went.
CREATE TRIGGER system_user_withdrawn_with_request AFTER UPDATE OF withdrawn_at ON system_user
WHEN OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
BEGIN
    UPDATE system_user_request SET archived_at = NEW.withdrawn_at WHERE id = NEW.id AND archived_at IS NULL;
END;

UPDATE system_user_request SET archived_at =
    (SELECT withdrawn_at FROM system_user WHERE system_user.id = system_user_request.id)
WHERE archived_at IS NULL AND id IN (SELECT id FROM system_user WHERE withdrawn_at IS NOT NULL);
