"""Any file, folder, address or query to rows under its own column names; knows nothing of what they mean."""
