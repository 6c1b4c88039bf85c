"""What a data set shows before any training: copies, shared patients, classes that differ in their files."""
