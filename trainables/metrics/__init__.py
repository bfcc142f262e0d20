"""What is measured on reconstructions."""
