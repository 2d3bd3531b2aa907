"""Files replaced whole, fingerprints, progress, time, memory, versions."""
