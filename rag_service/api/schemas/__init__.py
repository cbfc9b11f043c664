"""The shapes of requests and responses; unknown fields are refused."""
