"""Databases: what is kept, and how it is opened, migrated and closed. No rules of the business."""
