-- What an agent takes as a decision: a list of approve, edit, reject, respond. And what an edit may give.
ALTER TABLE approvals ADD COLUMN allowed TEXT NOT NULL DEFAULT '["approve","edit","reject"]';
ALTER TABLE approvals ADD COLUMN args_schema TEXT;
