"""All queries: one class a table group, each over the caller's transaction."""
