"""One module for each format, with a ``FORMAT``; the registry is ``avskrift.formats``."""
