"""The parts of one run, scored by the machines of a Ray cluster."""
