-- The customer that a website has vouched for on a conversation. It stays bound to that one.
ALTER TABLE sessions ADD COLUMN bound_customer TEXT;
ALTER TABLE sessions ADD COLUMN bound_name TEXT;
ALTER TABLE sessions ADD COLUMN bound_email TEXT;

-- The same at the time of a request, as JSON: id, name, email.
ALTER TABLE approvals ADD COLUMN verified_customer TEXT;
