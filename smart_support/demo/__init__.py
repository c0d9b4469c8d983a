"""Everything that exists for the demo: its businesses, its chat model, its history."""

from pathlib import Path

# A folder of migrations for the SQLite file of each business.
MIGRATIONS = Path(__file__).parent / "migrations"
