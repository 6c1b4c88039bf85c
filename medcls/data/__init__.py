"""From image files to batches: sources -> table of samples -> uint8 cache -> batches."""
