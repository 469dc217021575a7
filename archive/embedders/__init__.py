"""Embedders: one file for each way to turn pictures and words into vectors."""
