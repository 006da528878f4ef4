"""From tapped packets to an encrypted file: timeline, container, age."""
