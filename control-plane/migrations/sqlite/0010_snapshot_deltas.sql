-- What changed since the snapshot, which is the base: one signed delta a version.
CREATE TABLE snapshot_delta (
    provider TEXT NOT NULL REFERENCES provider (id),
    version  INTEGER NOT NULL CHECK (version > 0),
    body     BLOB NOT NULL,
    PRIMARY KEY (provider, version)
) STRICT, WITHOUT ROWID;

-- The change that last touched a system user or what it holds: what the publisher looks at again.
CREATE TABLE system_user_revision (
    system_user TEXT PRIMARY KEY REFERENCES system_user (id),
    revision    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX system_user_revision_revision ON system_user_revision (revision);

INSERT INTO system_user_revision (system_user, revision)
SELECT id, (SELECT coalesce(max(revision), 0) FROM change_log) FROM system_user;

-- A change is logged when it is committed, so that its revision is the next. Triggers, so that no operation forgets.
CREATE TRIGGER system_user_inserted AFTER INSERT ON system_user BEGIN
    INSERT OR REPLACE INTO system_user_revision (system_user, revision)
    VALUES (NEW.id, (SELECT coalesce(max(revision), 0) + 1 FROM change_log));
END;

CREATE TRIGGER system_user_updated AFTER UPDATE ON system_user BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = NEW.id;
END;

CREATE TRIGGER delegated_right_inserted AFTER INSERT ON delegated_right BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = NEW.system_user;
END;

CREATE TRIGGER delegated_right_updated AFTER UPDATE ON delegated_right BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user IN (OLD.system_user, NEW.system_user);
END;

CREATE TRIGGER delegated_right_deleted AFTER DELETE ON delegated_right BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = OLD.system_user;
END;

CREATE TRIGGER delegated_access_package_inserted AFTER INSERT ON delegated_access_package BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = NEW.system_user;
END;

CREATE TRIGGER delegated_access_package_updated AFTER UPDATE ON delegated_access_package BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user IN (OLD.system_user, NEW.system_user);
END;

CREATE TRIGGER delegated_access_package_deleted AFTER DELETE ON delegated_access_package BEGIN
    UPDATE system_user_revision SET revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = OLD.system_user;
END;
