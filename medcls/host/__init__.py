"""The process around a run: what one sees of it, how it is stopped, what it ran on."""
