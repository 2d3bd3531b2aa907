"""What the project costs and what it is worth: benchmarks, and the study that compares all models.

Uses `export`, `train` and `infer`; nothing imports it.
"""
