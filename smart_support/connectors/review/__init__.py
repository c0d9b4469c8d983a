"""Imported operations: classified, reviewed and stored."""
