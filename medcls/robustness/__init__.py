"""Performance of nets on their images under graded noise, blur, contrast, JPEG compression and rotation."""
