"""A static folder in which a model recommends in the browser: `python -m export.web`."""
