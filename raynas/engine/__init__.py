"""Searches and final trainings on Ray: connecting, planning workers, running them, and Tune's loop."""
