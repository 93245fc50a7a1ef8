"""What the commands do between reading their options and printing: one module per command, and consoles."""
