"""The statistics of a study: tables of its trials, intervals and tests, costs, published results."""
