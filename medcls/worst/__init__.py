"""Images that nets are most wrong about, and images whose labels are most doubtful."""
