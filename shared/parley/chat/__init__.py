"""The conversation: `Prompt` goes in, `Event`s come out, an `Answer` is their fold. Pure values."""
