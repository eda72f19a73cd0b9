"""The command line, ``sgcldff``: one module per command or group of commands."""
