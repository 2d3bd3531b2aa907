"""Data sets, what is held out of them, and what models read of them."""
