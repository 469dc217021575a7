"""Segmenters: one file for each way to find the things in a photo."""
