"""The ports between engine and edges, over a unix socket: processes of one server on one machine."""
