"""What a run leaves behind: its folder, and the files that more than one part reads."""
