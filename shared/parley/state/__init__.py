"""All that Redis remembers, and what a process does while it cannot remember anything."""
