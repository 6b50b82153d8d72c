"""The npm API, one file per command family. Nothing is decided here: every handler asks the door."""
