"""MLflow: runs, fields and its server."""
