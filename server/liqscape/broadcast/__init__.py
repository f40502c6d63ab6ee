"""Stage 5: changed cells become frames. No sockets."""
