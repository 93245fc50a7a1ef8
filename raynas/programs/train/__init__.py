"""A final training from its settings to its model folder."""
