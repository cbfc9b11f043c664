"""Compares PostgreSQL, the vector index and the blob folder, and mends what can be mended."""
