"""What is said: prompts into each service's words, and its words into events. No I/O."""
