"""Fault injection: searches whose drivers or workers are killed, or whose children misbehave."""
