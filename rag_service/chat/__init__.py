"""Answering: one turn from a question to a saved, cited answer."""
