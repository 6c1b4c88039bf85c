"""What a finished run shows: training curves, confusion matrix, ROC, closing table."""
