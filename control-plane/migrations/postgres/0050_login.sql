-- slice: tokens

-- Whom an identity that an OIDC provider tells of belongs to; hashed.
CREATE TABLE user_identity (
    identity_sha256 TEXT COLLATE "C" PRIMARY KEY,
    user_id         BIGINT NOT NULL CHECK (user_id > 0)
);

-- A session begins with a login; its tokens are renewed until it ends.
CREATE TABLE login_session (
    id         TEXT COLLATE "C" PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX login_session_started ON login_session (started_at);

-- slice: logins

-- A login that has been sent to a provider and has not come back; the browser has the other half in a cookie.
CREATE TABLE login_attempt (
    state_sha256   TEXT COLLATE "C" PRIMARY KEY,
    browser_sha256 TEXT COLLATE "C" NOT NULL,
    provider       TEXT COLLATE "C" NOT NULL,
    nonce          TEXT COLLATE "C" NOT NULL,
    pkce_verifier  TEXT COLLATE "C" NOT NULL,
    return_to      TEXT COLLATE "C" NOT NULL,
    started_at     BIGINT NOT NULL
);
