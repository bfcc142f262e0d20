"""Engine of a sweep: Ray, resources, progress, interrupts."""
