-- slice: tokens

-- Whom an identity that an OIDC provider tells of belongs to; hashed.
CREATE TABLE user_identity (
    identity_sha256 TEXT PRIMARY KEY,
    user_id         INTEGER NOT NULL CHECK (user_id > 0)
) STRICT, WITHOUT ROWID;

-- A session begins with a login; its tokens are renewed until it ends.
CREATE TABLE login_session (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX login_session_started ON login_session (started_at);

-- slice: logins

-- A login that has been sent to a provider and has not come back; the browser has the other half in a cookie.
CREATE TABLE login_attempt (
    state_sha256   TEXT PRIMARY KEY,
    browser_sha256 TEXT NOT NULL,
    provider       TEXT NOT NULL,
    nonce          TEXT NOT NULL,
    pkce_verifier  TEXT NOT NULL,
    return_to      TEXT NOT NULL,
    started_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
