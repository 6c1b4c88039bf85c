"""What can be said of a data set before any training: copies, shared patients, classes that differ by their files."""
