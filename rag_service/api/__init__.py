"""HTTP and nothing else: routes, schemas, streams, problems."""
