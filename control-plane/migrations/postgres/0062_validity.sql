-- When what was asked for, and what came of it, ends by itself; null when it does not.
ALTER TABLE system_user_request ADD COLUMN valid_to BIGINT;
ALTER TABLE system_user ADD COLUMN valid_to BIGINT;

CREATE INDEX system_user_valid_to ON system_user (valid_to) WHERE valid_to IS NOT NULL AND withdrawn_at IS NULL;

-- A system user ends when its request said so.
CREATE FUNCTION take_validity_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user SET valid_to = request.valid_to FROM system_user_request AS request
    WHERE request.id = NEW.id AND request.valid_to IS NOT NULL AND system_user.id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_user_takes_validity AFTER INSERT ON system_user
FOR EACH ROW EXECUTE FUNCTION take_validity_of_request();
