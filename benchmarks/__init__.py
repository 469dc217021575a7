"""Measurements of the whole product on labelled photos: nothing here is shipped or needed to use the archive."""
