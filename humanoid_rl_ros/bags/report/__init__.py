"""What a bag tells: computed here, drawn by the command line."""
