-- slice: system_users

-- What an agent system user holds for each of its clients: a list of URNs. Empty for standard ones.
ALTER TABLE system_user ADD COLUMN client_packages TEXT NOT NULL DEFAULT '[]' CHECK (json_type(client_packages) = 'array');

-- slice: client_delegations

-- An organisation that an agent system user acts for. What it holds there is in delegated_access_package.
CREATE TABLE client_delegation (
    id          TEXT PRIMARY KEY,
    system_user TEXT NOT NULL REFERENCES system_user (id),
    client      TEXT NOT NULL REFERENCES party (organization),
    created_at  INTEGER NOT NULL,
    created_by  INTEGER NOT NULL,
    UNIQUE (system_user, client)
) STRICT, WITHOUT ROWID;

CREATE INDEX client_delegation_client ON client_delegation (client);
