"""The catalog: SQLite rows that are the truth about every photo."""
