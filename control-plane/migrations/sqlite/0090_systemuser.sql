-- PostgreSQL 16 and later reserve the word `system_user`: the table and the columns that name a row of it have another name.
ALTER TABLE system_user RENAME TO systemuser;
ALTER TABLE delegated_right RENAME COLUMN system_user TO systemuser;
ALTER TABLE delegated_access_package RENAME COLUMN system_user TO systemuser;
ALTER TABLE client_job RENAME COLUMN system_user TO systemuser;
ALTER TABLE system_user_revision RENAME COLUMN system_user TO systemuser;
ALTER TABLE client_delegation RENAME COLUMN system_user TO systemuser;
ALTER TABLE system_user_sequence RENAME COLUMN system_user TO systemuser;
ALTER TABLE change_request RENAME COLUMN system_user TO systemuser;
