"""A chatbot backend that answers from an organisation's own documents, and proves it."""

__version__ = "0.1.0"
