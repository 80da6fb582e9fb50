-- PostgreSQL 16 and later reserve the word `system_user`: the table and the columns that name a row of it have another name.
ALTER TABLE "system_user" RENAME TO systemuser;
ALTER TABLE delegated_right RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE delegated_access_package RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE client_job RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE system_user_revision RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE client_delegation RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE system_user_sequence RENAME COLUMN "system_user" TO systemuser;
ALTER TABLE change_request RENAME COLUMN "system_user" TO systemuser;

-- The text of functions is not renamed with it.
CREATE OR REPLACE FUNCTION enter_system_user_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO system_user_revision (systemuser, revision) VALUES (NEW.id, next_revision())
    ON CONFLICT (systemuser) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION raise_system_user_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user_revision SET revision = next_revision() WHERE systemuser = NEW.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION raise_holders_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE system_user_revision SET revision = next_revision() WHERE systemuser = OLD.systemuser;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE system_user_revision SET revision = next_revision() WHERE systemuser = NEW.systemuser;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION end_what_hangs_on_system() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE systemuser SET withdrawn_at = NEW.deleted_at WHERE system = NEW.id AND withdrawn_at IS NULL;
    UPDATE system_user_request SET archived_at = NEW.deleted_at WHERE system = NEW.id AND archived_at IS NULL;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION enter_system_user_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO system_user_sequence (systemuser, number, revision)
    VALUES (NEW.id, (SELECT coalesce(max(number), 0) + 1 FROM system_user_sequence), next_revision());
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION raise_system_user_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE system_user_sequence
    SET number = (SELECT max(number) + 1 FROM system_user_sequence), revision = next_revision()
    WHERE systemuser = NEW.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION archive_change_requests_of_system_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE change_request SET archived_at = NEW.withdrawn_at WHERE systemuser = NEW.id AND archived_at IS NULL;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tell_of_holding() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held_by TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.systemuser ELSE OLD.systemuser END;
    held_for TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.party ELSE OLD.party END;
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT next_revision(), 'system_user.changed', system.vendor, system.id, systemuser.id, systemuser.owner
    FROM systemuser JOIN system ON system.id = systemuser.system
    WHERE systemuser.id = held_by AND systemuser.owner = held_for AND systemuser.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = held_by AND event.revision = next_revision()
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tell_of_client() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    acting TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.systemuser ELSE OLD.systemuser END;
    acted_for TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.client ELSE OLD.client END;
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT next_revision(), CASE WHEN TG_OP = 'INSERT' THEN 'client.added' ELSE 'client.removed' END,
           system.vendor, system.id, systemuser.id, systemuser.owner, acted_for
    FROM systemuser JOIN system ON system.id = systemuser.system WHERE systemuser.id = acting;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tell_of_relation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        DELETE FROM event WHERE kind = 'relation.lost' AND client = NEW.client AND party = NEW.provider
        AND revision = next_revision();
        RETURN NULL;
    END IF;
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT next_revision(), 'relation.lost', system.vendor, system.id, systemuser.id, systemuser.owner, OLD.client
    FROM systemuser JOIN system ON system.id = systemuser.system
    WHERE systemuser.owner = OLD.provider AND systemuser.kind = 'agent' AND systemuser.withdrawn_at IS NULL
    AND (EXISTS (SELECT 1 FROM client_delegation AS held WHERE held.systemuser = systemuser.id AND held.client = OLD.client)
         OR EXISTS (SELECT 1 FROM event AS gone WHERE gone.object = systemuser.id AND gone.kind = 'client.removed'
                    AND gone.client = OLD.client AND gone.revision = next_revision()))
    AND NOT EXISTS (SELECT 1 FROM event AS told WHERE told.object = systemuser.id AND told.kind = 'relation.lost'
                    AND told.client = OLD.client AND told.revision = next_revision());
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION take_validity_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE systemuser SET valid_to = request.valid_to FROM system_user_request AS request
    WHERE request.id = NEW.id AND request.valid_to IS NOT NULL AND systemuser.id = NEW.id;
    RETURN NULL;
END
$$;
