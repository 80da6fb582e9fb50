-- The change log is the audit: nothing in it is ever changed. The organisation that a change is about, where it is one.
ALTER TABLE change_log ADD COLUMN party TEXT;

CREATE INDEX change_log_party ON change_log (party, revision) WHERE party IS NOT NULL;

CREATE TRIGGER change_log_is_not_updated BEFORE UPDATE ON change_log BEGIN
    SELECT RAISE(ABORT, 'the change log is append-only');
END;

CREATE TRIGGER change_log_is_not_deleted BEFORE DELETE ON change_log BEGIN
    SELECT RAISE(ABORT, 'the change log is append-only');
END;

-- slice: events

-- What vendors are told. The revision is that of the change which is under way when the row is written.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    vendor   TEXT NOT NULL CHECK (length(vendor) = 9),
    system   TEXT NOT NULL,
    -- The request or system user.
    object   TEXT NOT NULL,
    party    TEXT NOT NULL CHECK (length(party) = 9),
    client   TEXT
) STRICT;

CREATE INDEX event_vendor ON event (vendor, id);
CREATE INDEX event_party ON event (party, revision);
CREATE INDEX event_client ON event (client, revision) WHERE client IS NOT NULL;
CREATE INDEX event_object ON event (object, kind);

-- Triggers, so that no operation forgets.
CREATE TRIGGER event_request_created AFTER INSERT ON system_user_request BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user_request.created', vendor, id, NEW.id, NEW.party
    FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_request_decided AFTER UPDATE OF status ON system_user_request
WHEN OLD.status <> NEW.status AND NEW.status <> 'New'
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log),
           CASE WHEN NEW.status = 'Accepted' THEN 'system_user_request.accepted' ELSE 'system_user_request.rejected' END,
           vendor, id, NEW.id, NEW.party
    FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_request_timed_out AFTER UPDATE OF timed_out_at ON system_user_request
WHEN OLD.timed_out_at IS NULL AND NEW.timed_out_at IS NOT NULL
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user_request.timed_out', vendor, id, NEW.id, NEW.party FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_change_request_created AFTER INSERT ON change_request BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'change_request.created', vendor, id, NEW.id, NEW.party FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_change_request_decided AFTER UPDATE OF status ON change_request
WHEN OLD.status <> NEW.status AND NEW.status <> 'New'
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), CASE WHEN NEW.status = 'Accepted' THEN 'change_request.accepted' ELSE 'change_request.rejected' END,
           vendor, id, NEW.id, NEW.party
    FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_change_request_timed_out AFTER UPDATE OF timed_out_at ON change_request
WHEN OLD.timed_out_at IS NULL AND NEW.timed_out_at IS NOT NULL
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'change_request.timed_out', vendor, id, NEW.id, NEW.party FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_system_user_created AFTER INSERT ON system_user BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.created', vendor, id, NEW.id, NEW.owner
    FROM system WHERE id = NEW.system;
END;

CREATE TRIGGER event_system_user_withdrawn AFTER UPDATE OF withdrawn_at ON system_user
WHEN OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.withdrawn', vendor, id, NEW.id, NEW.owner
    FROM system WHERE id = NEW.system;
END;

-- One event a change, whatever the number of rights and packages.
CREATE TRIGGER event_right_given AFTER INSERT ON delegated_right BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.changed', system.vendor, system.id, system_user.id, system_user.owner
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.id = NEW.system_user AND system_user.owner = NEW.party AND system_user.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = NEW.system_user AND event.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
END;

CREATE TRIGGER event_package_given AFTER INSERT ON delegated_access_package BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.changed', system.vendor, system.id, system_user.id, system_user.owner
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.id = NEW.system_user AND system_user.owner = NEW.party AND system_user.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = NEW.system_user AND event.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
END;

CREATE TRIGGER event_right_taken AFTER DELETE ON delegated_right BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.changed', system.vendor, system.id, system_user.id, system_user.owner
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.id = OLD.system_user AND system_user.owner = OLD.party AND system_user.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = OLD.system_user AND event.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
END;

CREATE TRIGGER event_package_taken AFTER DELETE ON delegated_access_package BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'system_user.changed', system.vendor, system.id, system_user.id, system_user.owner
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.id = OLD.system_user AND system_user.owner = OLD.party AND system_user.kind = 'standard'
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.object = OLD.system_user AND event.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)
                    AND event.kind IN ('system_user.created', 'system_user.changed'));
END;

CREATE TRIGGER event_client_added AFTER INSERT ON client_delegation BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'client.added', system.vendor, system.id, system_user.id, system_user.owner, NEW.client
    FROM system_user JOIN system ON system.id = system_user.system WHERE system_user.id = NEW.system_user;
END;

CREATE TRIGGER event_client_removed AFTER DELETE ON client_delegation BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'client.removed', system.vendor, system.id, system_user.id, system_user.owner, OLD.client
    FROM system_user JOIN system ON system.id = system_user.system WHERE system_user.id = OLD.system_user;
END;

-- A client has left its accountant, auditor, …: agent system users of that provider may not act for it any longer, or have
-- lost it with the same change.
CREATE TRIGGER event_relation_lost AFTER DELETE ON relation BEGIN
    INSERT INTO event (revision, kind, vendor, system, object, party, client)
    SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), 'relation.lost', system.vendor, system.id, system_user.id, system_user.owner, OLD.client
    FROM system_user JOIN system ON system.id = system_user.system
    WHERE system_user.owner = OLD.provider AND system_user.kind = 'agent' AND system_user.withdrawn_at IS NULL
    AND (EXISTS (SELECT 1 FROM client_delegation AS held WHERE held.system_user = system_user.id AND held.client = OLD.client)
         OR EXISTS (SELECT 1 FROM event AS gone WHERE gone.object = system_user.id AND gone.kind = 'client.removed'
                    AND gone.client = OLD.client AND gone.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log)))
    AND NOT EXISTS (SELECT 1 FROM event AS told WHERE told.object = system_user.id AND told.kind = 'relation.lost'
                    AND told.client = OLD.client AND told.revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log));
END;

-- An import that names an organisation writes its relations anew: what is there again was not lost.
CREATE TRIGGER event_relation_kept AFTER INSERT ON relation BEGIN
    DELETE FROM event WHERE kind = 'relation.lost' AND client = NEW.client AND party = NEW.provider AND revision = (SELECT coalesce(max(revision), 0) + 1 FROM change_log);
END;
