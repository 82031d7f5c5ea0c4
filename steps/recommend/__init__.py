"""Steps of the recommenders alone."""
