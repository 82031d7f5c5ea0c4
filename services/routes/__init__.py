"""The endpoints: one module for each kind of model, and those that all of them have."""
