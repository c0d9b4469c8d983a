-- Where an approved call goes: {"method", "server", "path"} as JSON; NULL for tools that are not imported.

ALTER TABLE approvals ADD COLUMN target TEXT;
