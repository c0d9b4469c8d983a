-- The hosts that a reviewer allowed, and whose things each operation touches.

ALTER TABLE import_jobs ADD COLUMN allowed_hosts TEXT; -- JSON; null for an import from before hosts were allowed one by one
ALTER TABLE operations ADD COLUMN customer TEXT;       -- JSON; null where nothing is proposed or confirmed
