"""One run and what is read of it: events, journal, records, leaderboard, status. Pure Python."""
