"""The plugin's widgets, each thin: it gathers parameters, starts a task and shows its result."""
