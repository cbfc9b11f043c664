"""Compares PostgreSQL, the indexes and the blob folder, and mends what can be mended."""
