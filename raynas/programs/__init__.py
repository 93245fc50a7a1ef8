"""One home for each verb: search, train, benchmark, report, promote, sync and rescore.

May import everything but cli.
"""
