-- slice: system_users

-- The place of each system user in the stream of changes: its last change has the highest number. Triggers, so that no
-- operation forgets. Changes are one after the other, so that numbers become visible in their order.
CREATE TABLE system_user_sequence (
    system_user TEXT PRIMARY KEY REFERENCES system_user (id),
    number      INTEGER NOT NULL UNIQUE CHECK (number > 0),
    -- Of the change, which says when it was made; 0 for what was there before.
    revision    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO system_user_sequence (system_user, number, revision)
SELECT id, row_number() OVER (ORDER BY created_at, id), 0 FROM system_user;

CREATE TRIGGER system_user_sequence_inserted AFTER INSERT ON system_user BEGIN
    INSERT INTO system_user_sequence (system_user, number, revision)
    VALUES (NEW.id, (SELECT coalesce(max(number), 0) + 1 FROM system_user_sequence),
            (SELECT coalesce(max(revision), 0) + 1 FROM change_log));
END;

CREATE TRIGGER system_user_sequence_updated AFTER UPDATE ON system_user BEGIN
    UPDATE system_user_sequence
    SET number = (SELECT max(number) + 1 FROM system_user_sequence),
        revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
    WHERE system_user = NEW.id;
END;
