-- The change log is the audit: nothing in it is ever changed. The organisation that a change is about, where it is one.
ALTER TABLE change_log ADD COLUMN party TEXT COLLATE "C";

CREATE INDEX change_log_party ON change_log (party, revision) WHERE party IS NOT NULL;

CREATE FUNCTION refuse_to_change_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the change log is append-only';
END
$$;

CREATE TRIGGER change_log_is_kept BEFORE UPDATE OR DELETE ON change_log
FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_log();

CREATE TRIGGER change_log_is_not_emptied BEFORE TRUNCATE ON change_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_log();

-- slice: events

-- What vendors are told. The revision is that of the change which is under way when the row is written.
CREATE TABLE event (
    id       BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    vendor   TEXT COLLATE "C" NOT NULL CHECK (length(vendor) = 9),
    system   TEXT COLLATE "C" NOT NULL,
    -- The request or system user.
    object   TEXT COLLATE "C" NOT NULL,
    party    TEXT COLLATE "C" NOT NULL CHECK (length(party) = 9),
    client   TEXT COLLATE "C"
);

CREATE INDEX event_vendor ON event (vendor, id);
CREATE INDEX event_party ON event (party, revision);
CREATE INDEX event_client ON event (client, revision) WHERE client IS NOT NULL;
CREATE INDEX event_object ON event (object, kind);

-- Writers are one after the other, so numbers have no gaps to fill, and a copied table goes on where it was.
CREATE FUNCTION number_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := (SELECT coalesce(max(id), 0) + 1 FROM event);
    RETURN NEW;
END
$$;

CREATE TRIGGER event_is_numbered BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION number_event();

-- Triggers, so that no operation forgets.
CREATE FUNCTION tell_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT next_revision(),
           TG_TABLE_NAME || CASE WHEN TG_OP = 'INSERT' THEN '.created'
                                 WHEN NEW.status = 'Accepted' THEN '.accepted'
                                 WHEN NEW.status = 'Rejected' THEN '.rejected'
                                 ELSE '.timed_out' END,
           vendor, id, NEW.id, NEW.party
    FROM system WHERE id = NEW.system;
    RETURN NULL;
END
$$;

CREATE TRIGGER event_request_created AFTER INSERT ON system_user_request
FOR EACH ROW EXECUTE FUNCTION tell_of_request();

CREATE TRIGGER event_request_decided AFTER UPDATE OF status ON system_user_request
FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status <> 'New') EXECUTE FUNCTION tell_of_request();

CREATE TRIGGER event_request_timed_out AFTER UPDATE OF timed_out_at ON system_user_request
FOR EACH ROW WHEN (OLD.timed_out_at IS NULL AND NEW.timed_out_at IS NOT NULL) EXECUTE FUNCTION tell_of_request();

CREATE TRIGGER event_change_request_created AFTER INSERT ON change_request
FOR EACH ROW EXECUTE FUNCTION tell_of_request();

CREATE TRIGGER event_change_request_decided AFTER UPDATE OF status ON change_request
FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status <> 'New') EXECUTE FUNCTION tell_of_request();

CREATE TRIGGER event_change_request_timed_out AFTER UPDATE OF timed_out_at ON change_request
FOR EACH ROW WHEN (OLD.timed_out_at IS NULL AND NEW.timed_out_at IS NOT NULL) EXECUTE FUNCTION tell_of_request();

CREATE FUNCTION tell_of_system_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT next_revision(), CASE WHEN TG_OP = 'INSERT' THEN 'system_user.created' ELSE 'system_user.withdrawn' END,
           vendor, id, NEW.id, NEW.owner
    FROM system WHERE id = NEW.system;
    RETURN NULL;
END
$$;

CREATE TRIGGER event_system_user_created AFTER INSERT ON system_user
FOR EACH ROW EXECUTE FUNCTION tell_of_system_user();

CREATE TRIGGER event_system_user_withdrawn AFTER UPDATE OF withdrawn_at ON system_user
FOR EACH ROW WHEN (OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL) EXECUTE FUNCTION tell_of_system_user();

-- One event a change, whatever the number of rights and packages.
CREATE FUNCTION tell_of_holding() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held_by TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.system_user ELSE OLD.system_user END;
    held_for TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.party ELSE OLD.party END;
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT next_revision(), 'system_user.changed', system.vendor, system.id, system_user.id, system_user.owner
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.id = held_by AND system_user.owner = held_for AND system_user.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = held_by AND event.revision = next_revision()
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
    RETURN NULL;
END
$$;

CREATE TRIGGER event_right_changed AFTER INSERT OR DELETE ON delegated_right
FOR EACH ROW EXECUTE FUNCTION tell_of_holding();

CREATE TRIGGER event_package_changed AFTER INSERT OR DELETE ON delegated_access_package
FOR EACH ROW EXECUTE FUNCTION tell_of_holding();

CREATE FUNCTION tell_of_client() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    acting TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.system_user ELSE OLD.system_user END;
    acted_for TEXT COLLATE "C" := CASE WHEN TG_OP = 'INSERT' THEN NEW.client ELSE OLD.client END;
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT next_revision(), CASE WHEN TG_OP = 'INSERT' THEN 'client.added' ELSE 'client.removed' END,
           system.vendor, system.id, system_user.id, system_user.owner, acted_for
    FROM system_user JOIN system ON system.id = system_user.system WHERE system_user.id = acting;
    RETURN NULL;
END
$$;

CREATE TRIGGER event_client_changed AFTER INSERT OR DELETE ON client_delegation
FOR EACH ROW EXECUTE FUNCTION tell_of_client();

-- A client has left its accountant, auditor, …: agent system users of that provider may not act for it any longer, or have
-- lost it with the same change. An import that names an organisation writes its relations anew: what is there again was not
-- lost.
CREATE FUNCTION tell_of_relation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        DELETE FROM event WHERE kind = 'relation.lost' AND client = NEW.client AND party = NEW.provider
        AND revision = next_revision();
        RETURN NULL;
    END IF;
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT next_revision(), 'relation.lost', system.vendor, system.id, system_user.id, system_user.owner, OLD.client
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.owner = OLD.provider AND system_user.kind = 'agent' AND system_user.withdrawn_at IS NULL
    AND (EXISTS (SELECT 1 FROM client_delegation AS held WHERE held.system_user = system_user.id AND held.client = OLD.client)
         OR EXISTS (SELECT 1 FROM event AS gone WHERE gone.object = system_user.id AND gone.kind = 'client.removed'
                    AND gone.client = OLD.client AND gone.revision = next_revision()))
    AND NOT EXISTS (SELECT 1 FROM event AS told WHERE told.object = system_user.id AND told.kind = 'relation.lost'
                    AND told.client = OLD.client AND told.revision = next_revision());
    RETURN NULL;
END
$$;

CREATE TRIGGER event_relation_changed AFTER INSERT OR DELETE ON relation
FOR EACH ROW EXECUTE FUNCTION tell_of_relation();
