"""The same budget of trials for every kind, by which its options are chosen on validation."""
