"""Networks with their weights: published networks, model folders, classifiers, exports. Needs torch."""
