"""What may vary in a sweep: families of hyper-parameters. Standard library only."""
