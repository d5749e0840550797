"""What is shown at a time: the overview, one queue, a page of text, a dialog."""
