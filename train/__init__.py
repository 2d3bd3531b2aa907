"""Data sets and the PyTorch models: matrix factorization, BERT-only and hybrid.

In: ratings. Out: `artifacts/interactions.parquet` and one checkpoint and history a model.
Imports the conventions of `infer`, never the other way round.
"""
