"""Stage 1: inputs turned into events. Pure parsers beside sources that do I/O."""
