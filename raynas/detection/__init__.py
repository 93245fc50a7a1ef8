"""Object detection: COCO data and its batches, evaluation by COCO's numbers, detectors.

Needs torch, and neither Ray nor MLflow. May import training, models, nn, data and what is below them.
"""
