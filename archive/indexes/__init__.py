"""Indexes: one file for each way to find the nearest vectors."""
