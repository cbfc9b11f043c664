"""PostgreSQL, the only truth: engine, tables, repositories, migrations."""
