"""The parent process behind `rag serve`. It stays small: no web framework, no database layer, no model."""

from rag_service.supervisor.serve import serve

__all__ = ["serve"]
