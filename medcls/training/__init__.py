"""One run, from a checked configuration to the files of its folder."""
