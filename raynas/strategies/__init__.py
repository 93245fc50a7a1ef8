"""Search strategies, one file each. They may use torch, but neither Ray nor MLflow."""
