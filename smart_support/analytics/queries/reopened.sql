back AS (SELECT bucket, count(*) AS reopened FROM resolved WHERE reopened GROUP BY GROUPING SETS ((), (bucket)))
