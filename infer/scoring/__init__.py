"""A table and a model to published lists, their metrics and their report."""
