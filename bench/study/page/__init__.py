"""The page of a study: answers in words, tables, plots."""
