"""Why a cell was given its name, and whether a person should look at it."""
