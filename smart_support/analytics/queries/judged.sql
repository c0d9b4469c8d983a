judged AS NOT MATERIALIZED (SELECT * FROM conversation)
