"""What a benchmark record says, and saved runs of them."""
