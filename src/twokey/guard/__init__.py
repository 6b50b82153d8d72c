"""The door: may a caller do a thing now, and with what proof? Imports the domain; nothing there imports it."""
