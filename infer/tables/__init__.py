"""Any file to rows in the shared columns; knows nothing of models."""
