-- When what was asked for, and what came of it, ends by itself; null when it does not.
ALTER TABLE system_user_request ADD COLUMN valid_to INTEGER;
ALTER TABLE system_user ADD COLUMN valid_to INTEGER;

CREATE INDEX system_user_valid_to ON system_user (valid_to) WHERE valid_to IS NOT NULL AND withdrawn_at IS NULL;

-- A system user ends when its request said so.
CREATE TRIGGER system_user_takes_validity AFTER INSERT ON system_user
WHEN EXISTS (SELECT 1 FROM system_user_request WHERE id = NEW.id AND valid_to IS NOT NULL)
BEGIN
    UPDATE system_user SET valid_to = (SELECT valid_to FROM system_user_request WHERE id = NEW.id) WHERE id = NEW.id;
END;
