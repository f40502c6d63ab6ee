"""Wire protocol, generated from proto/ and never edited by hand."""
