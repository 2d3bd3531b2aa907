"""The comparison of all models over seeds, as tables and a page."""
