"""Offline measures of answer quality and speed."""
