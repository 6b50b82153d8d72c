"""The pages, with or without JavaScript. They ask the same door as the npm API; nothing is decided here."""
