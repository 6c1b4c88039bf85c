"""The images in memory: a table of samples and one uint8 array, split, augmented and served in batches."""
