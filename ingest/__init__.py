"""The ingestion pipeline: load, chunk, embed, store; and the worker that runs it."""
