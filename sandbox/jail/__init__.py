"""The ordered lock-down of a worker: one step a function, each saying what it takes away."""
