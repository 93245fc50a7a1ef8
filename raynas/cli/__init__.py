"""The `raynas` command: main.py is its entrance, app.py what commands share."""
