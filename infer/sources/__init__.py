"""Tables of any length, part by part, in the order of their users."""
