-- slice: system_users

-- What an agent system user holds for each of its clients: a list of URNs. Empty for standard ones.
ALTER TABLE system_user ADD COLUMN client_packages TEXT COLLATE "C" NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(client_packages::jsonb) = 'array');

-- slice: client_delegations

-- An organisation that an agent system user acts for. What it holds there is in delegated_access_package.
CREATE TABLE client_delegation (
    id          TEXT COLLATE "C" PRIMARY KEY,
    system_user TEXT COLLATE "C" NOT NULL REFERENCES system_user (id),
    client      TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    created_at  BIGINT NOT NULL,
    created_by  BIGINT NOT NULL,
    UNIQUE (system_user, client)
);

CREATE INDEX client_delegation_client ON client_delegation (client);
