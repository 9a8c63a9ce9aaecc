"""The commands: options in, one use case called, its result shown. Bodies hold no logic."""
