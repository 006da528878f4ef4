"""The works agreement as a document: its shape (`schema`), its strict reader (`load`), what it refuses (`refusals`)."""
