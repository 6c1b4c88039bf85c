"""What a net must beat: logistic regressions that cost seconds, on the images that it was trained and judged on."""
