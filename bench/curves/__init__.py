"""The training curves of models as a page."""
