"""One run and what is read of it: events, journal, records, leaderboard, status.

Pure Python. May import the pure parts of strategies, child, cells and what is below them.
"""
