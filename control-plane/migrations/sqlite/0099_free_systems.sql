-- slice: systems

-- A system that an organisation has for one system user of its own; it is in no register, and ends with its system user.
ALTER TABLE system ADD COLUMN is_free INTEGER NOT NULL DEFAULT 0 CHECK (is_free IN (0, 1));

CREATE TRIGGER free_system_user_withdrawn AFTER UPDATE OF withdrawn_at ON systemuser
WHEN OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
BEGIN
    DELETE FROM system_client WHERE system IN (SELECT id FROM system WHERE id = NEW.system AND is_free = 1);
    UPDATE system SET deleted_at = NEW.withdrawn_at WHERE id = NEW.system AND is_free = 1 AND deleted_at IS NULL;
END;
