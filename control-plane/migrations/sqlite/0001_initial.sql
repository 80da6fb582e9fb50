-- Instants are milliseconds since 1970 (UTC). Organisation numbers are nine digits, as text. Uuids are lower case with hyphens.
-- A right without an action means every action of the resource's current policy.

-- One row per committed operation. The highest revision is the truth that the publisher follows.
CREATE TABLE change_log (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    body     TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

-- What belongs to this database and outlives every process, for example the epoch of its snapshots.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- slice: parties

CREATE TABLE party (
    uuid         TEXT PRIMARY KEY,
    party_id     INTEGER NOT NULL UNIQUE CHECK (party_id > 0),
    organization TEXT NOT NULL UNIQUE CHECK (length(organization) = 9),
    name         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE role_assignment (
    user_id      INTEGER NOT NULL CHECK (user_id > 0),
    organization TEXT NOT NULL REFERENCES party (organization),
    role         TEXT NOT NULL,
    PRIMARY KEY (user_id, organization, role)
) STRICT, WITHOUT ROWID;

-- slice: issuers

CREATE TABLE issuer_key_set (
    issuer     TEXT PRIMARY KEY,
    keys       TEXT NOT NULL CHECK (json_type(keys) = 'array'),
    fetched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- slice: resources

CREATE TABLE provider (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL CHECK (length(organization) = 9),
    name         TEXT NOT NULL,
    routes       TEXT NOT NULL DEFAULT '[]' CHECK (json_type(routes) = 'array')
) STRICT, WITHOUT ROWID;

CREATE TABLE resource (
    id        TEXT PRIMARY KEY,
    provider  TEXT NOT NULL REFERENCES provider (id),
    title_nb  TEXT NOT NULL,
    title_nn  TEXT NOT NULL,
    title_en  TEXT NOT NULL,
    delegable INTEGER NOT NULL CHECK (delegable IN (0, 1)),
    policy    TEXT
) STRICT;

CREATE INDEX resource_provider ON resource (provider);

-- slice: systems

CREATE TABLE system (
    id             TEXT PRIMARY KEY,
    internal_id    TEXT NOT NULL UNIQUE,
    vendor         TEXT NOT NULL CHECK (length(vendor) = 9),
    name_nb        TEXT NOT NULL,
    name_nn        TEXT NOT NULL,
    name_en        TEXT NOT NULL,
    description_nb TEXT NOT NULL,
    description_nn TEXT NOT NULL,
    description_en TEXT NOT NULL,
    -- Written and read whole: lists in Altinn's JSON form.
    rights          TEXT NOT NULL CHECK (json_type(rights) = 'array'),
    access_packages TEXT NOT NULL CHECK (json_type(access_packages) = 'array'),
    redirect_urls   TEXT NOT NULL CHECK (json_type(redirect_urls) = 'array'),
    is_visible      INTEGER NOT NULL CHECK (is_visible IN (0, 1)),
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER
) STRICT;

CREATE INDEX system_vendor ON system (vendor);

-- A client id belongs to one live system; letter case does not distinguish two of them.
CREATE TABLE system_client (
    client_id TEXT PRIMARY KEY COLLATE NOCASE,
    system    TEXT NOT NULL REFERENCES system (id),
    position  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX system_client_system ON system_client (system);

-- slice: system_users

CREATE TABLE system_user (
    id                TEXT PRIMARY KEY,
    kind              TEXT NOT NULL CHECK (kind IN ('standard', 'agent')),
    system            TEXT NOT NULL REFERENCES system (id),
    owner             TEXT NOT NULL REFERENCES party (organization),
    external_ref      TEXT NOT NULL,
    integration_title TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    withdrawn_at      INTEGER
) STRICT;

CREATE UNIQUE INDEX system_user_live ON system_user (owner, system, external_ref) WHERE withdrawn_at IS NULL;
CREATE INDEX system_user_withdrawn ON system_user (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

-- Kept when the system user is withdrawn: it says which gateways must be told.
CREATE TABLE delegated_right (
    system_user TEXT NOT NULL REFERENCES system_user (id),
    party       TEXT NOT NULL REFERENCES party (organization),
    position    INTEGER NOT NULL,
    resource    TEXT NOT NULL REFERENCES resource (id),
    action      TEXT,
    PRIMARY KEY (system_user, party, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX delegated_right_resource ON delegated_right (resource);

CREATE TABLE delegated_access_package (
    system_user TEXT NOT NULL REFERENCES system_user (id),
    party       TEXT NOT NULL REFERENCES party (organization),
    position    INTEGER NOT NULL,
    package     TEXT NOT NULL,
    PRIMARY KEY (system_user, party, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX delegated_access_package_package ON delegated_access_package (package);

-- slice: requests

CREATE TABLE system_user_request (
    id                TEXT PRIMARY KEY,
    system            TEXT NOT NULL REFERENCES system (id),
    party             TEXT NOT NULL REFERENCES party (organization),
    external_ref      TEXT NOT NULL,
    integration_title TEXT NOT NULL,
    redirect_url      TEXT,
    rights            TEXT NOT NULL CHECK (json_type(rights) = 'array'),
    access_packages   TEXT NOT NULL CHECK (json_type(access_packages) = 'array'),
    status            TEXT NOT NULL CHECK (status IN ('New', 'Accepted', 'Rejected')),
    created_at        INTEGER NOT NULL,
    decided_at        INTEGER,
    decided_by        INTEGER,
    archived_at       INTEGER,
    CHECK ((status = 'New') = (decided_at IS NULL) AND (status = 'New') = (decided_by IS NULL))
) STRICT;

CREATE UNIQUE INDEX system_user_request_live ON system_user_request (party, system, external_ref) WHERE archived_at IS NULL;

-- slice: gateways

CREATE TABLE gateway_credential (
    secret_sha256 TEXT PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    provider      TEXT NOT NULL REFERENCES provider (id),
    name          TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- slice: snapshots

-- The last published snapshot of each provider, whole. The epoch is a random number of 63 bits, one per database.
CREATE TABLE snapshot (
    provider     TEXT PRIMARY KEY REFERENCES provider (id),
    epoch        INTEGER NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    revision     INTEGER NOT NULL,
    issued_at    INTEGER NOT NULL,
    not_after    INTEGER NOT NULL,
    body         BLOB NOT NULL
) STRICT;
