"""Searches and final trainings on Ray: connecting, planning workers, running them, and Tune's loop.

No other package imports ray, but for `raynas doctor`. May import run and what is below it.
"""
