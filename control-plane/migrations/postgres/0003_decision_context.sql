-- slice: parties

-- The organisation that this one is a sub unit of. A main unit has none itself.
ALTER TABLE party ADD COLUMN main_unit TEXT COLLATE "C" REFERENCES party (organization);

CREATE INDEX party_main_unit ON party (main_unit) WHERE main_unit IS NOT NULL;

-- slice: resources

-- How the policy is read, and which of its versions is in force; null without a policy.
ALTER TABLE resource ADD COLUMN semantics TEXT COLLATE "C" NOT NULL DEFAULT 'altinn' CHECK (semantics IN ('altinn', 'standard'));
ALTER TABLE resource ADD COLUMN policy_version BIGINT;
-- Whether only members of the resource's access lists may use it.
ALTER TABLE resource ADD COLUMN access_list_mode TEXT COLLATE "C" NOT NULL DEFAULT 'disabled'
    CHECK (access_list_mode IN ('disabled', 'enabled'));

-- Every policy that was stored, the one in force included.
CREATE TABLE resource_policy_version (
    resource  TEXT COLLATE "C" NOT NULL REFERENCES resource (id),
    version   BIGINT NOT NULL CHECK (version > 0),
    at        BIGINT NOT NULL,
    semantics TEXT COLLATE "C" NOT NULL CHECK (semantics IN ('altinn', 'standard')),
    xml       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (resource, version)
);

CREATE TABLE access_list (
    provider TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (provider, id)
);

-- Null actions are all actions. Members need not be in the register of parties.
CREATE TABLE access_list_member (
    provider     TEXT COLLATE "C" NOT NULL,
    list         TEXT COLLATE "C" NOT NULL,
    organization TEXT COLLATE "C" NOT NULL CHECK (length(organization) = 9),
    actions      TEXT COLLATE "C" CHECK (actions IS NULL OR jsonb_typeof(actions::jsonb) = 'array'),
    PRIMARY KEY (provider, list, organization),
    FOREIGN KEY (provider, list) REFERENCES access_list (provider, id)
);

CREATE INDEX access_list_member_organization ON access_list_member (organization);

CREATE TABLE resource_access_list (
    resource TEXT COLLATE "C" NOT NULL REFERENCES resource (id),
    provider TEXT COLLATE "C" NOT NULL,
    list     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (resource, list),
    FOREIGN KEY (provider, list) REFERENCES access_list (provider, id)
);

CREATE INDEX resource_access_list_list ON resource_access_list (provider, list);
