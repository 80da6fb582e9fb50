-- When a single right ends by itself; null when it does not.
ALTER TABLE delegated_right ADD COLUMN valid_to INTEGER;

CREATE INDEX delegated_right_valid_to ON delegated_right (valid_to) WHERE valid_to IS NOT NULL;
