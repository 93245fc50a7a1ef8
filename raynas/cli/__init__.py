"""The `raynas` command: one module per subcommand, main.py as the entry point, app.py for what they share.

May import everything.
"""
