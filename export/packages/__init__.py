"""A model file as folders that other people's servers and registries take; needs no PyTorch."""
