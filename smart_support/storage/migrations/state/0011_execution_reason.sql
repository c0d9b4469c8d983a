-- Why an approved call was not carried out, for its card: the tool was taken out of use, the business said no.

ALTER TABLE approvals ADD COLUMN execution_reason TEXT;
