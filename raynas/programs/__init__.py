"""One home for each verb: search, train, detect, evaluate, benchmark, report, promote, sync and rescore.

May import everything but cli.
"""
