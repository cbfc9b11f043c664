"""Fakes and contract suites, for tests and evals. Production code never imports this package."""
