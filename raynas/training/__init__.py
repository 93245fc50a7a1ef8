"""Training of one network on one or several ranks.

Needs torch (but for its settings), and neither Ray nor MLflow. May import nn, data, child and what is below
them.
"""
