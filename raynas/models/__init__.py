"""A network with its weights: published ones, folders on disk, classifiers, exports. torch."""
