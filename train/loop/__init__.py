"""The loop over epochs: what moves, how it is measured, and what is found once it is done."""
