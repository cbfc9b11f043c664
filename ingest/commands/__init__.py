"""The commands of `rag-ingest`, one a file."""
