"""Measures a trained classifier or detector on images that it was not trained with, without training."""
