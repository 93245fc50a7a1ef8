"""Search spaces and published cells, one file each. They import neither strategies nor Ray nor MLflow."""
