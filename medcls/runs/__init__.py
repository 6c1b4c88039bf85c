"""What a run leaves behind: its folder, history, predictions and checkpoints, written and read here only."""
