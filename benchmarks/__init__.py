"""Benchmarks; README.md tells what each measures and how to run it."""
