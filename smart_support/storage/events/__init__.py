"""The event store: journal, DuckDB file, snapshots."""
