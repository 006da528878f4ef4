"""The works agreement as a document: its shape (`schema`), its strict reader (`load`) and what it refuses (`refusals`)."""
