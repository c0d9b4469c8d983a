-- The decisions that an approval allows: a list of approve, edit, reject, respond. And the schema of edits.
ALTER TABLE approvals ADD COLUMN allowed TEXT NOT NULL DEFAULT '["approve","edit","reject"]';
ALTER TABLE approvals ADD COLUMN args_schema TEXT;
