-- Why an approved call was not executed, for its card: the tool was removed, or the business refused it.

ALTER TABLE approvals ADD COLUMN execution_reason TEXT;
