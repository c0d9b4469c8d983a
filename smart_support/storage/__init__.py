"""Databases: how data is stored, migrated, backed up and shared between processes. No business rules."""
