"""Measuring: confusion matrix, tables of old / new / all, pictures and the report."""
