"""How a sweep runs: Ray, resources, progress, interrupts."""
