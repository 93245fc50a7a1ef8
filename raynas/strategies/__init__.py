"""Search strategies, one file each, and in rewards/ what they are rewarded with.

They may use torch, but neither Ray nor MLflow. May import child, cells and what is below them.
"""
