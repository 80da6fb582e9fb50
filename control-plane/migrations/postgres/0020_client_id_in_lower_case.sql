-- slice: systems

-- Client ids are compared in lower case: an index of that, because not every database has columns that ignore letter case.
CREATE UNIQUE INDEX system_client_in_lower_case ON system_client (lower(client_id));
