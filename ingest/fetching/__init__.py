"""Pages and sitemaps, fetched from addresses that were checked."""
