"""Rows to histories to padded windows, the same for training and serving."""
