"""Search strategies, one file each; torch, but neither Ray nor MLflow."""
