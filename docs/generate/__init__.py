"""What the pages on settings, commands and names are made of: raynas itself. Needs no Sphinx."""
