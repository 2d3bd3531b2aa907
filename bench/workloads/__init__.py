"""What the benchmarks score: data, models trained on them, untrained models of any size."""
