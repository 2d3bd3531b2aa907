"""The contract of a model (`base`), and one model a file."""
