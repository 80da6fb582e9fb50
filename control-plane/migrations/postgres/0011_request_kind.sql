-- Requests for agent system users live beside those for standard ones: their triple is unique across both.
ALTER TABLE system_user_request ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'standard' CHECK (kind IN ('standard', 'agent'));

-- Passed on to the customer's access managers by somebody who may not approve himself.
ALTER TABLE system_user_request ADD COLUMN is_escalated BIGINT NOT NULL DEFAULT 0 CHECK (is_escalated IN (0, 1));
