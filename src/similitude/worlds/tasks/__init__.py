"""The twenty tasks: each builds a world and writes down how it is solved."""
