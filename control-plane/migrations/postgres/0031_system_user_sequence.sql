-- slice: system_users

-- The place of each system user in the stream of changes: its last change has the highest number. Triggers, so that no
-- operation forgets. Changes are one after the other, so that numbers become visible in their order.
CREATE TABLE system_user_sequence (
    system_user TEXT COLLATE "C" PRIMARY KEY REFERENCES system_user (id),
    number      BIGINT NOT NULL UNIQUE CHECK (number > 0),
    -- Of the change, which says when it was made; 0 for what was there before.
    revision    BIGINT NOT NULL
);

INSERT INTO system_user_sequence (system_user, number, revision)
SELECT id, row_number() OVER (ORDER BY created_at, id), 0 FROM system_user;

CREATE FUNCTION enter_system_user_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO system_user_sequence (system_user, number, revision)
    VALUES (NEW.id, (SELECT coalesce(max(number), 0) + 1 FROM system_user_sequence), next_revision());
    RETURN NULL;
END
$$;

CREATE FUNCTION raise_system_user_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user_sequence
    SET number = (SELECT max(number) + 1 FROM system_user_sequence), revision = next_revision()
    WHERE system_user = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER system_user_sequence_inserted AFTER INSERT ON system_user
FOR EACH ROW EXECUTE FUNCTION enter_system_user_sequence();

CREATE TRIGGER system_user_sequence_updated AFTER UPDATE ON system_user
FOR EACH ROW EXECUTE FUNCTION raise_system_user_sequence();
