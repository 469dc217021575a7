"""Pairs: the registry of segmenters and embedders that can be pulled, and the pull."""
