"""Networks with their weights: published networks, model folders, classifiers, exports.

Needs torch, and neither Ray nor MLflow. May import nn, data, cells and what is below them.
"""
