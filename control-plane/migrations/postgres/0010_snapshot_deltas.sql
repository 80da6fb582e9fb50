-- What changed since the snapshot, which is the base: one signed delta a version.
CREATE TABLE snapshot_delta (
    provider TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    version  BIGINT NOT NULL CHECK (version > 0),
    body     BYTEA NOT NULL,
    PRIMARY KEY (provider, version)
);

-- The change that last touched a system user or what it holds: what the publisher looks at again.
CREATE TABLE system_user_revision (
    system_user TEXT COLLATE "C" PRIMARY KEY REFERENCES system_user (id),
    revision    BIGINT NOT NULL
);

CREATE INDEX system_user_revision_revision ON system_user_revision (revision);

-- A change is logged when it is committed, so that its revision is the next. Triggers, so that no operation forgets.
CREATE FUNCTION next_revision() RETURNS BIGINT LANGUAGE sql STABLE
AS $$ SELECT coalesce(max(revision), 0) + 1 FROM change_log $$;

CREATE FUNCTION enter_system_user_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO system_user_revision (system_user, revision) VALUES (NEW.id, next_revision())
    ON CONFLICT (system_user) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END
$$;

CREATE FUNCTION raise_system_user_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user_revision SET revision = next_revision() WHERE system_user = NEW.id;
    RETURN NULL;
END
$$;

CREATE FUNCTION raise_holders_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE system_user_revision SET revision = next_revision() WHERE system_user = OLD.system_user;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE system_user_revision SET revision = next_revision() WHERE system_user = NEW.system_user;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_user_inserted AFTER INSERT ON system_user
FOR EACH ROW EXECUTE FUNCTION enter_system_user_revision();

CREATE TRIGGER system_user_updated AFTER UPDATE ON system_user
FOR EACH ROW EXECUTE FUNCTION raise_system_user_revision();

CREATE TRIGGER delegated_right_changed AFTER INSERT OR UPDATE OR DELETE ON delegated_right
FOR EACH ROW EXECUTE FUNCTION raise_holders_revision();

CREATE TRIGGER delegated_access_package_changed AFTER INSERT OR UPDATE OR DELETE ON delegated_access_package
FOR EACH ROW EXECUTE FUNCTION raise_holders_revision();
