"""A search, from its settings to its leaderboard."""
