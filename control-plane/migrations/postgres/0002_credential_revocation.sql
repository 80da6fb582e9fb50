-- A revoked credential stays, so that the list says when it ended.
ALTER TABLE gateway_credential ADD COLUMN revoked_at BIGINT;

-- When the provider last became another organisation's; null while it never did.
ALTER TABLE provider ADD COLUMN changed_hands_at BIGINT;

-- Whoever takes a provider over does not take over gateways that somebody else set up.
CREATE FUNCTION end_gateway_credentials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gateway_credential SET revoked_at = NEW.changed_hands_at WHERE provider = NEW.id AND revoked_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER gateway_credential_ends AFTER UPDATE OF organization ON provider
FOR EACH ROW WHEN (OLD.organization <> NEW.organization) EXECUTE FUNCTION end_gateway_credentials();
