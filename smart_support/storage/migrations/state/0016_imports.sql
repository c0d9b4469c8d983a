-- Tools that their server changed after the review, and credentials of imports in review.

ALTER TABLE operations ADD COLUMN changed_at TEXT;    -- when it was found; out of use since then

CREATE TABLE review_credentials (
    job_id TEXT NOT NULL,
    scheme TEXT NOT NULL,
    sealed BLOB NOT NULL,                             -- as in api_credentials, whose row it replaces at the approval
    PRIMARY KEY (job_id, scheme)
);
