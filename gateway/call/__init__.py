"""The call core: sans-IO, four verbs in, effects out."""
