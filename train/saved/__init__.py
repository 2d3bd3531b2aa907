"""What of a training lies on disk, and how it is taken up again."""
