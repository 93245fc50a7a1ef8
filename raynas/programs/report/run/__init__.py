"""What the report of a run says; report.py puts its sections together."""
