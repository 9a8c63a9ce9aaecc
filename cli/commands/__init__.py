"""The commands: each reads its options, calls one workflow and shows the answer, without logic of its own."""
