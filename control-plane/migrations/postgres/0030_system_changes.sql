-- slice: systems

-- What was done to a system, as its vendor sees it: numbered from 1 in the order it happened.
CREATE TABLE system_change (
    system       TEXT COLLATE "C" NOT NULL REFERENCES system (id),
    number       BIGINT NOT NULL CHECK (number > 0),
    at           BIGINT NOT NULL,
    organization TEXT COLLATE "C" NOT NULL CHECK (length(organization) = 9),
    client_id    TEXT COLLATE "C",
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('create', 'update', 'rightsupdate', 'accesspackageupdate', 'delete')),
    -- What the vendor sent, in the form that is stored; null for a deletion.
    data         TEXT COLLATE "C" CHECK (data IS NULL OR jsonb_typeof(data::jsonb) IS NOT NULL),
    PRIMARY KEY (system, number)
);

CREATE INDEX system_user_system ON system_user (system, created_at, id);
CREATE INDEX system_user_request_system ON system_user_request (system, created_at, id);

-- What hangs on a system ends with it: its system users, and so what gateways know of them, and its requests. Triggers,
-- because those are other slices' tables.
CREATE FUNCTION end_what_hangs_on_system() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user SET withdrawn_at = NEW.deleted_at WHERE system = NEW.id AND withdrawn_at IS NULL;
    UPDATE system_user_request SET archived_at = NEW.deleted_at WHERE system = NEW.id AND archived_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_deleted AFTER UPDATE OF deleted_at ON system
FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION end_what_hangs_on_system();

-- A request goes as its system user went.
CREATE FUNCTION archive_request_of_system_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user_request SET archived_at = NEW.withdrawn_at WHERE id = NEW.id AND archived_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_user_withdrawn_with_request AFTER UPDATE OF withdrawn_at ON system_user
FOR EACH ROW WHEN (OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL)
EXECUTE FUNCTION archive_request_of_system_user();
