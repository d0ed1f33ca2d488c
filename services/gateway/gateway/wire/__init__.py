"""OpenAI's API spoken as a server: bytes to a Prompt, Events to bytes. No I/O in here."""
