"""A detector's training from its settings to its model folder."""
