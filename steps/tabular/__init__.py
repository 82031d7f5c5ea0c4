"""Steps of the tabular problems alone."""
