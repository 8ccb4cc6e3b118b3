"""The daemon: sockets, queue and workers. The server's process never imports torch."""
