"""95% intervals of means."""

Z = 1.959963984540054  # the 97.5% point of the standard normal distribution


def wilson(mean: float, users: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a mean in [0, 1] over `users` observations."""
    centre = (mean + Z**2 / (2 * users)) / (1 + Z**2 / users)
    half = Z / (1 + Z**2 / users) * (mean * (1 - mean) / users + Z**2 / (4 * users**2)) ** 0.5
    # Rounding must not push the bounds past the mean when it is 0 or 1.
    return min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))
