"""The user's journey, held with the unmodified npm client."""
