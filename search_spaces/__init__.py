"""Search spaces and published cells, one file each. They know neither strategies nor Ray nor MLflow."""
