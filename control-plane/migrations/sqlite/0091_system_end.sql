-- slice: systems

-- Deleted systems of which something is left to end: a step takes some at a time, so that no change takes long. While a
-- system is here its system users count as withdrawn. `at` is when the last ones were ended.
CREATE TABLE system_end (
    system TEXT PRIMARY KEY REFERENCES system (id),
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX systemuser_live_of_system ON systemuser (system) WHERE withdrawn_at IS NULL;
CREATE INDEX system_user_request_kept_of_system ON system_user_request (system) WHERE archived_at IS NULL;

DROP TRIGGER system_deleted;

CREATE TRIGGER system_deleted AFTER UPDATE OF deleted_at ON system
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO system_end (system, at) VALUES (NEW.id, NEW.deleted_at);
END;

CREATE TRIGGER system_end_begins AFTER INSERT ON system_end
BEGIN
    UPDATE systemuser SET withdrawn_at = NEW.at
    WHERE id IN (SELECT id FROM systemuser WHERE system = NEW.system AND withdrawn_at IS NULL LIMIT 2000);
    UPDATE system_user_request SET archived_at = NEW.at
    WHERE id IN (SELECT id FROM system_user_request WHERE system = NEW.system AND archived_at IS NULL LIMIT 2000);
    DELETE FROM system_end WHERE system = NEW.system
    AND NOT EXISTS (SELECT 1 FROM systemuser WHERE system = NEW.system AND withdrawn_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM system_user_request WHERE system = NEW.system AND archived_at IS NULL);
END;

CREATE TRIGGER system_end_goes_on AFTER UPDATE OF at ON system_end
BEGIN
    UPDATE systemuser SET withdrawn_at = NEW.at
    WHERE id IN (SELECT id FROM systemuser WHERE system = NEW.system AND withdrawn_at IS NULL LIMIT 2000);
    UPDATE system_user_request SET archived_at = NEW.at
    WHERE id IN (SELECT id FROM system_user_request WHERE system = NEW.system AND archived_at IS NULL LIMIT 2000);
    DELETE FROM system_end WHERE system = NEW.system
    AND NOT EXISTS (SELECT 1 FROM systemuser WHERE system = NEW.system AND withdrawn_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM system_user_request WHERE system = NEW.system AND archived_at IS NULL);
END;
