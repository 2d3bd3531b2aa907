"""The shop's rules: which items may be recommended, and to whom."""
