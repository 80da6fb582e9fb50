-- slice: parties

-- The organisation that this one is a sub unit of. A main unit has none itself.
ALTER TABLE party ADD COLUMN main_unit TEXT REFERENCES party (organization);

CREATE INDEX party_main_unit ON party (main_unit) WHERE main_unit IS NOT NULL;

-- slice: resources

-- How the policy is read, and which of its versions is in force; null without a policy.
ALTER TABLE resource ADD COLUMN semantics TEXT NOT NULL DEFAULT 'altinn' CHECK (semantics IN ('altinn', 'standard'));
ALTER TABLE resource ADD COLUMN policy_version INTEGER;
-- Whether only members of the resource's access lists may use it.
ALTER TABLE resource ADD COLUMN access_list_mode TEXT NOT NULL DEFAULT 'disabled'
    CHECK (access_list_mode IN ('disabled', 'enabled'));

-- Every policy that was stored, the one in force included.
CREATE TABLE resource_policy_version (
    resource  TEXT NOT NULL REFERENCES resource (id),
    version   INTEGER NOT NULL CHECK (version > 0),
    at        INTEGER NOT NULL,
    semantics TEXT NOT NULL CHECK (semantics IN ('altinn', 'standard')),
    xml       TEXT NOT NULL,
    PRIMARY KEY (resource, version)
) STRICT;

-- What was stored before versions were kept is the first version.
INSERT INTO resource_policy_version (resource, version, at, semantics, xml)
SELECT id, 1,
       coalesce((SELECT max(at) FROM change_log
                 WHERE kind = 'policy_stored' AND json_extract(body, '$.policy.resource') = resource.id), 0),
       'altinn', policy
FROM resource WHERE policy IS NOT NULL;

UPDATE resource SET policy_version = 1 WHERE policy IS NOT NULL;

CREATE TABLE access_list (
    provider TEXT NOT NULL REFERENCES provider (id),
    id       TEXT NOT NULL,
    PRIMARY KEY (provider, id)
) STRICT, WITHOUT ROWID;

-- Null actions are all actions. Members need not be in the register of parties.
CREATE TABLE access_list_member (
    provider     TEXT NOT NULL,
    list         TEXT NOT NULL,
    organization TEXT NOT NULL CHECK (length(organization) = 9),
    actions      TEXT CHECK (actions IS NULL OR json_type(actions) = 'array'),
    PRIMARY KEY (provider, list, organization),
    FOREIGN KEY (provider, list) REFERENCES access_list (provider, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_list_member_organization ON access_list_member (organization);

CREATE TABLE resource_access_list (
    resource TEXT NOT NULL REFERENCES resource (id),
    provider TEXT NOT NULL,
    list     TEXT NOT NULL,
    PRIMARY KEY (resource, list),
    FOREIGN KEY (provider, list) REFERENCES access_list (provider, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX resource_access_list_list ON resource_access_list (provider, list);
