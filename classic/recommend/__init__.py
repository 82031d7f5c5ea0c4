"""Recommenders: who may like what, out of what everybody did."""
