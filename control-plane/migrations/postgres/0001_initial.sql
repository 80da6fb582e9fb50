-- Instants are milliseconds since 1970 (UTC). Organisation numbers are nine digits, as text. Uuids are lower case with hyphens.
-- A right without an action means every action of the resource's current policy.

-- Text is compared byte by byte, as on SQLite, whatever the database's own collation is.

-- The elements of a JSON array, as SQLite has them: how statements take sets.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 50
AS $$ SELECT element FROM jsonb_array_elements_text(list::jsonb) AS elements (element) $$;

-- One row per committed operation. The highest revision is the truth that the publisher follows.
CREATE TABLE change_log (
    revision BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    body     TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(body::jsonb) IS NOT NULL)
);

-- What belongs to this database and outlives every process, for example the epoch of its snapshots.
CREATE TABLE setting (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- slice: parties

CREATE TABLE party (
    uuid         TEXT COLLATE "C" PRIMARY KEY,
    party_id     BIGINT NOT NULL UNIQUE CHECK (party_id > 0),
    organization TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(organization) = 9),
    name         TEXT COLLATE "C" NOT NULL
);

CREATE TABLE role_assignment (
    user_id      BIGINT NOT NULL CHECK (user_id > 0),
    organization TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    role         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, organization, role)
);

-- slice: issuers

CREATE TABLE issuer_key_set (
    issuer     TEXT COLLATE "C" PRIMARY KEY,
    keys       TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(keys::jsonb) = 'array'),
    fetched_at BIGINT NOT NULL
);

-- slice: resources

CREATE TABLE provider (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL CHECK (length(organization) = 9),
    name         TEXT COLLATE "C" NOT NULL,
    routes       TEXT COLLATE "C" NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(routes::jsonb) = 'array')
);

CREATE TABLE resource (
    id        TEXT COLLATE "C" PRIMARY KEY,
    provider  TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    title_nb  TEXT COLLATE "C" NOT NULL,
    title_nn  TEXT COLLATE "C" NOT NULL,
    title_en  TEXT COLLATE "C" NOT NULL,
    delegable BIGINT NOT NULL CHECK (delegable IN (0, 1)),
    policy    TEXT COLLATE "C"
);

CREATE INDEX resource_provider ON resource (provider);

-- slice: systems

CREATE TABLE system (
    id             TEXT COLLATE "C" PRIMARY KEY,
    internal_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    vendor         TEXT COLLATE "C" NOT NULL CHECK (length(vendor) = 9),
    name_nb        TEXT COLLATE "C" NOT NULL,
    name_nn        TEXT COLLATE "C" NOT NULL,
    name_en        TEXT COLLATE "C" NOT NULL,
    description_nb TEXT COLLATE "C" NOT NULL,
    description_nn TEXT COLLATE "C" NOT NULL,
    description_en TEXT COLLATE "C" NOT NULL,
    -- Written and read whole: lists in Altinn's JSON form.
    rights          TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(rights::jsonb) = 'array'),
    access_packages TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(access_packages::jsonb) = 'array'),
    redirect_urls   TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(redirect_urls::jsonb) = 'array'),
    is_visible      BIGINT NOT NULL CHECK (is_visible IN (0, 1)),
    created_at      BIGINT NOT NULL,
    deleted_at      BIGINT
);

CREATE INDEX system_vendor ON system (vendor);

-- A client id belongs to one live system; letter case does not distinguish two of them.
CREATE TABLE system_client (
    client_id TEXT COLLATE "C" PRIMARY KEY,
    system    TEXT COLLATE "C" NOT NULL REFERENCES system (id),
    position  BIGINT NOT NULL
);

CREATE INDEX system_client_system ON system_client (system);

-- slice: system_users

CREATE TABLE system_user (
    id                TEXT COLLATE "C" PRIMARY KEY,
    kind              TEXT COLLATE "C" NOT NULL CHECK (kind IN ('standard', 'agent')),
    system            TEXT COLLATE "C" NOT NULL REFERENCES system (id),
    owner             TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    external_ref      TEXT COLLATE "C" NOT NULL,
    integration_title TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    withdrawn_at      BIGINT
);

CREATE UNIQUE INDEX system_user_live ON system_user (owner, system, external_ref) WHERE withdrawn_at IS NULL;
CREATE INDEX system_user_withdrawn ON system_user (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

-- Kept when the system user is withdrawn: it says which gateways must be told.
CREATE TABLE delegated_right (
    system_user TEXT COLLATE "C" NOT NULL REFERENCES system_user (id),
    party       TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    position    BIGINT NOT NULL,
    resource    TEXT COLLATE "C" NOT NULL REFERENCES resource (id),
    action      TEXT COLLATE "C",
    PRIMARY KEY (system_user, party, position)
);

CREATE INDEX delegated_right_resource ON delegated_right (resource);

CREATE TABLE delegated_access_package (
    system_user TEXT COLLATE "C" NOT NULL REFERENCES system_user (id),
    party       TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    position    BIGINT NOT NULL,
    package     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (system_user, party, position)
);

CREATE INDEX delegated_access_package_package ON delegated_access_package (package);

-- slice: requests

CREATE TABLE system_user_request (
    id                TEXT COLLATE "C" PRIMARY KEY,
    system            TEXT COLLATE "C" NOT NULL REFERENCES system (id),
    party             TEXT COLLATE "C" NOT NULL REFERENCES party (organization),
    external_ref      TEXT COLLATE "C" NOT NULL,
    integration_title TEXT COLLATE "C" NOT NULL,
    redirect_url      TEXT COLLATE "C",
    rights            TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(rights::jsonb) = 'array'),
    access_packages   TEXT COLLATE "C" NOT NULL CHECK (jsonb_typeof(access_packages::jsonb) = 'array'),
    status            TEXT COLLATE "C" NOT NULL CHECK (status IN ('New', 'Accepted', 'Rejected')),
    created_at        BIGINT NOT NULL,
    decided_at        BIGINT,
    decided_by        BIGINT,
    archived_at       BIGINT,
    CHECK ((status = 'New') = (decided_at IS NULL) AND (status = 'New') = (decided_by IS NULL))
);

CREATE UNIQUE INDEX system_user_request_live ON system_user_request (party, system, external_ref) WHERE archived_at IS NULL;

-- slice: gateways

CREATE TABLE gateway_credential (
    secret_sha256 TEXT COLLATE "C" PRIMARY KEY,
    id            TEXT COLLATE "C" NOT NULL UNIQUE,
    provider      TEXT COLLATE "C" NOT NULL REFERENCES provider (id),
    name          TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL
);

-- slice: snapshots

-- The last published snapshot of each provider, whole. The epoch is a random number of 63 bits, one per database.
CREATE TABLE snapshot (
    provider     TEXT COLLATE "C" PRIMARY KEY REFERENCES provider (id),
    epoch        BIGINT NOT NULL,
    version      BIGINT NOT NULL CHECK (version > 0),
    revision     BIGINT NOT NULL,
    issued_at    BIGINT NOT NULL,
    not_after    BIGINT NOT NULL,
    body         BYTEA NOT NULL
);
