"""Searches that harm is done to: to their drivers, to their workers, and by their children."""
