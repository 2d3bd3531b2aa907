"""Ways to find the best of very many items: what each takes, and what it loses."""
