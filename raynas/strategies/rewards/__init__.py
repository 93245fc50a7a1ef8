"""Rewards, one file each, registered by name. Pure Python."""
