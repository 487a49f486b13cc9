"""Transports: the only folder that opens sockets to upstreams."""
